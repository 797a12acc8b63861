"""Ray's own settings: read when Ray's processes start, so whoever starts Ray must set them first. Pure.

With none of them everything works, only slower. What they bring is in docs/operations.md.
"""

from collections.abc import Mapping
from typing import Final

RAY_VARIABLES: Final[Mapping[str, str]] = {
    # Requests go from HAProxy straight to the router's replicas, on one event loop each.
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    # Each request would otherwise send a datagram that a Python process reads.
    "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
    "RAY_SERVE_HAPROXY_NBTHREAD": "1",
    # Whole tensors pass, not 4 MiB at most.
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(256 * 2**20),
    # Ray's workers run at nice 15 else: whatever is busy beside them takes the processor away.
    "RAY_worker_niceness": "0",
    # Serve's controller looks at everything ten times a second by default: 7 % of a core with six models that do nothing.
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.25",
    # A cluster of our own, also where another one runs on this machine.
    "RAY_ADDRESS": "local",
    # Draining: 30 s each by default, longer than anybody waits for Ctrl-C.
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
    "RAY_SERVE_PROXY_MIN_DRAINING_PERIOD_S": "1",
    "RAY_SERVE_SHUTDOWN_TIER_TIMEOUT_S": "5",
    "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": "5",
    "RAY_USAGE_STATS_ENABLED": "0",
    # By its name for other systems, where a cluster of more than one node is off by default: Ray then takes
    # 127.0.0.1 for the node's address, and its own servers listen there and nowhere else.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}


_HAPROXY_FILES: Final[Mapping[str, str]] = {
    "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": "haproxy.cfg",
    "RAY_SERVE_HAPROXY_SOCKET_PATH": "admin.sock",
    "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": "metrics.sock",
    "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": "server-state",
    "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": "",
}
"""Where Ray keeps HAProxy's files: else all in one folder that every user of the machine may write."""


def missing_from(environ: Mapping[str, str], haproxy_folder: str) -> dict[str, str]:
    """What to add to `environ`: a value that the user has set stands. HAProxy keeps its files in the folder."""
    files = {name: f"{haproxy_folder}/{file}".rstrip("/") for name, file in _HAPROXY_FILES.items()}
    return {name: value for name, value in {**RAY_VARIABLES, **files}.items() if name not in environ}
