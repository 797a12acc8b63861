"""Which ports a mesh takes, what moves each, and where its users find it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from mesh.embedded.ports import Port
from mesh.errors import InvalidConfig
from mesh.security.redacted import shown_url
from mesh.settings import Settings

DASHBOARD_PORT = 8265
PROMETHEUS_PORT = 9464
HAPROXY_PORTS = (
    ("RAY_SERVE_HAPROXY_STATS_PORT", 8404, "statistics"),
    ("RAY_SERVE_HAPROXY_METRICS_PORT", 9101, "metrics"),
    ("RAY_SERVE_FALLBACK_PROXY_HTTP_PORT", 8500, "HTTP fallback"),
    ("RAY_SERVE_FALLBACK_PROXY_GRPC_PORT", 9500, "gRPC fallback"),
)
"""Two meshes on one machine collide on them, and a proxy that does not get them does not start."""


@dataclass(frozen=True, slots=True)
class ServePorts:
    """The ports of Ray Serve's proxy and of the dashboard."""

    http: int
    grpc: int
    dashboard: int


def serve_ports(file: str, document: Mapping[str, object], environ: Mapping[str, str]) -> ServePorts:
    """From a Serve config and the environment; `InvalidConfig` where one is no port number."""
    dashboard = environ.get("RAY_DASHBOARD_PORT") or DASHBOARD_PORT
    return ServePorts(
        http=_port(file, "http_options.port", _option(document, "http_options", 8000)),
        grpc=_port(file, "grpc_options.port", _option(document, "grpc_options", 9000)),
        dashboard=_port("environment", "RAY_DASHBOARD_PORT", dashboard),
    )


def ports(settings: Settings, serve: ServePorts, file: str, environ: Mapping[str, str]) -> list[Port]:
    """Every port that the mesh listens on. `environ` is what Ray is started with."""
    found = [
        Port(serve.http, "HTTP through Ray Serve", f"http_options.port in {file}"),
        Port(serve.grpc, "gRPC through Ray Serve", f"grpc_options.port in {file}"),
        Port(serve.dashboard, "Ray dashboard", "RAY_DASHBOARD_PORT"),
    ]
    own = (
        (settings.http_port, "HTTP", "MESH_HTTP_PORT"),
        (settings.grpc_port, "gRPC", "MESH_GRPC_PORT"),
        (settings.prometheus_port, "metrics", "ML_PROMETHEUS_PORT"),
    )
    found += [Port(number, purpose, name) for number, purpose, name in own if number is not None]
    if environ.get("RAY_SERVE_ENABLE_HA_PROXY", "0") in ("", "0"):
        return found
    return found + [
        Port(_port("environment", name, environ.get(name) or default), f"HAProxy's {purpose}", name)
        for name, default, purpose in HAPROXY_PORTS
    ]


def addresses(
    settings: Settings, serve: ServePorts, stream: bool, environ: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """Name and address of everything that a user may want to reach."""
    host = settings.mesh_host
    own = "http" if settings.tls is None else "https"
    http = (
        f"http://{host}:{serve.http}"
        if settings.http_port is None
        else f"{own}://{host}:{settings.http_port}"
    )
    rows = [
        (
            "HTTP",
            http + (f"   through Serve http://{host}:{serve.http}" if settings.http_port else ""),
        ),
        ("docs", f"{http}/docs"),
        (
            "gRPC",
            f"{host}:{settings.grpc_port or serve.grpc}"
            + (f"   through Serve {host}:{serve.grpc}" if settings.grpc_port else ""),
        ),
        ("Ray dashboard", f"http://127.0.0.1:{serve.dashboard}"),
    ]
    if settings.prometheus_port is not None:
        rows.append(("metrics", f"{own}://{host}:{settings.prometheus_port}/metrics"))
    if stream:
        rows.append(("GraphQL", f"http://{host}:{serve.http}/graphql"))
        rows.append(("Kafka", f"{settings.kafka_bootstrap_servers}   topic {settings.kafka_inference_topic}"))
        rows.append(("Redis", f"{shown_url(settings.redis_url)}   channel {settings.redis_channel}"))
    rows.append(("logs", f"{environ.get('RAY_TMPDIR') or '/tmp'}/ray/session_latest/logs/serve"))  # noqa: S108 - shown, not written
    return tuple(rows)


def _option(document: Mapping[str, object], section: str, default: int) -> object:
    options = document.get(section)
    return options.get("port", default) if isinstance(options, dict) else default


def _port(file: str, key: str, value: object) -> int:
    if str(value).isdigit() and 0 < int(str(value)) < 65536:
        return int(str(value))
    raise InvalidConfig(file, 0, key, f"'{value}' is not a port (1-65535)")
