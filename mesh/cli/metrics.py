"""The metrics of a running mesh, as a look at what it uses."""

import http.client
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from mesh.cli.addresses import PROMETHEUS_PORT
from mesh.cli.api import asking_headers, asking_tls, is_address
from mesh.costs import Sample
from mesh.errors import InvalidInput, MeshError
from mesh.settings import Settings
from mesh.telemetry import names
from mesh.telemetry.metric import Metric
from mesh.telemetry.names import REGISTRY

TIMEOUT_S: Final = 10.0
MAX_BYTES: Final = 64 << 20
"""A page that is longer is none of ours."""


class MetricsAway(MeshError):
    """Nobody serves metrics there, or not to us: then `refused`. The message names the address and the variable that sets it."""

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


def own_metrics(settings: Settings) -> str:
    """Where this machine's mesh serves them."""
    host = "127.0.0.1" if settings.mesh_host in ("0.0.0.0", "::") else settings.mesh_host  # noqa: S104 - asked, not bound
    scheme = "http" if settings.tls is None else "https"
    return f"{scheme}://{host}:{settings.prometheus_port or PROMETHEUS_PORT}/metrics"


def scrape(url: str, timeout_s: float = TIMEOUT_S) -> str:
    """The page at `url`. Raises `MetricsAway`, and `InvalidInput` for a URL that is not HTTP."""
    if not is_address(url):
        raise InvalidInput("--url", f"'{url}' is no address; write http://HOST:PORT/metrics")
    try:
        request = urllib.request.Request(url, headers=asking_headers())  # noqa: S310 - the scheme was checked
        with urllib.request.urlopen(request, timeout=timeout_s, context=asking_tls(url)) as reply:  # noqa: S310
            return bytes(reply.read(MAX_BYTES)).decode()
    except (OSError, http.client.HTTPException, UnicodeDecodeError) as error:
        reason = getattr(error, "reason", error)
        raise MetricsAway(
            f"no metrics at {url}: {reason}; is the mesh running, with ML_PROMETHEUS_PORT set?",
            refused=isinstance(error, urllib.error.HTTPError) and error.code in (401, 403),
        ) from None


def sample_of(page: str, seconds: float | None = None) -> Sample:
    """What costs are made of, from Prometheus text; `seconds` defaults to now. `MetricsAway` where it is no such text."""
    try:
        found = _values(page)
    except ValueError as error:
        raise MetricsAway(f"the page is no Prometheus text: {error}; is --url right?") from None
    return Sample(
        seconds=time.monotonic() if seconds is None else seconds,
        cpu_s=found[names.PROCESS_CPU.name],
        memory_bytes=found[names.PROCESS_MEMORY.name],
        bytes_read=found[names.INGEST_BYTES.name],
        records=found[names.INGEST_RECORDS.name],
        alerts=sum(found[names.ALERTS_OPENED.name].values()),
        replicas=_by_first(found[names.MODEL_REPLICAS.name]),
        level=int(max(found[names.TELEMETRY_LEVEL.name].values(), default=0)),
    )


def _by_first(series: Mapping[tuple[str, ...], float]) -> dict[str, float]:
    """Sums over all labels but the first."""
    sums: defaultdict[str, float] = defaultdict(float)
    for labels, value in series.items():
        sums[labels[0]] += value
    return dict(sums)


def _values(page: str) -> Mapping[str, dict[tuple[str, ...], float]]:
    """Every sample of our counters and gauges, by metric and the values of its labels."""
    found: defaultdict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            metric: Metric | None = REGISTRY.get(sample.name)
            if metric is not None:
                labels = tuple(sample.labels.get(label, "") for label in metric.labels)
                found[metric.name][labels] = sample.value
    return found
