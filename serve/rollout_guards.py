"""What speaks against a rollout's going on: its candidate's gates, drift, the chain's level, breakers, alerts of Prometheus."""

import asyncio
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from http.client import HTTPException, InvalidURL
from typing import Final

import msgspec

from mesh.errors import NotFound, StoreAway
from mesh.pipeline.plan import Level
from mesh.registry import ModelVersion, Registry
from mesh.registry.reference import is_reference, parse_reference
from mesh.rollouts.guards import EveryGuard, Watched
from mesh.rollouts.plan import Guard, Plan
from mesh.security.redacted import shown_url
from mesh.spec import MeshConfig, ModelSpec
from mesh.telemetry.summary import Summary
from serve.drift import DriftNow

_OPEN: Final = 2
_ANSWER_S: Final = 1.5
_MOST_BYTES: Final = 4 << 20
_BURN: Final = "MeshSloBurn"
_OURS: Final = "Mesh"
_CRITICAL: Final = "page"
"""The severity of the shipped rules that says: somebody should look now."""


def every_guard(
    versions: Callable[[], Registry],
    config: Callable[[], MeshConfig],
    drift: DriftNow,
    read_summary: Callable[[], Awaitable[Summary]],
    prometheus_url: str | None,
) -> EveryGuard:
    """All that this mesh can tell. Without a Prometheus `alerts` and `slo_burn` hold, and say so."""
    sources = [
        Watched(frozenset({"gates"}), GateGuard(versions, config)),
        Watched(frozenset({"drift"}), DriftGuard(drift)),
        Watched(frozenset({"degraded", "breaker"}), SummaryGuards(read_summary)),
    ]
    fires = NoPrometheus() if prometheus_url is None else PrometheusGuards(prometheus_url)
    sources.append(Watched(frozenset({"alerts", "slo_burn"}), fires))
    return EveryGuard(sources)


class GateGuard:
    """`gates`: the version that the candidate is has not passed, or what is hosted is not that version."""

    def __init__(self, versions: Callable[[], Registry], config: Callable[[], MeshConfig]) -> None:
        """`versions` opens the registry, at the first call."""
        self._versions, self._config = versions, config

    async def holding(self, plan: Plan) -> Mapping[Guard, str]:
        """As `Guards.holding`. Raises what the registry raises."""
        if not plan.model:
            return {
                "gates": "the plan names no `model`, so there is no version whose gates could be looked at"
            }
        spec = self._config().models.get(plan.candidate)
        number = plan.candidate.partition("@")[2] if spec is None else spec.version
        try:
            version = await asyncio.to_thread(lambda: self._versions().get(plan.model, number))
        except NotFound as error:
            return {"gates": str(error)}
        if not version.passed:
            failed = (
                "; ".join(f"{one.gate}: {one.detail}" for one in version.failures) or "it has no gate report"
            )
            return {"gates": f"version {version.number} of '{plan.model}' has not passed: {failed}"}
        if spec is not None and not _is(spec, version):
            return {
                "gates": f"'{plan.candidate}' is hosted from {spec.path}, which is not version {version.number}"
            }
        return {}


def _is(spec: ModelSpec, version: ModelVersion) -> bool:
    if spec.sha256 is not None:
        return spec.sha256 == version.digest
    if spec.path is None or not is_reference(spec.path):
        return False
    reference = parse_reference(spec.path)
    wanted = ("registry", version.name, str(version.number))
    return (reference.place, reference.name, reference.version) == wanted


class DriftGuard:
    """`drift`: a watched stream changed lately, and nobody has resolved the alert that says so."""

    def __init__(self, drift: DriftNow) -> None:
        self._drift = drift

    async def holding(self, plan: Plan) -> Mapping[Guard, str]:
        """As `Guards.holding`. Raises `StoreAway`."""
        del plan
        found = await self._drift.drifting()
        return {"drift": "; ".join(one.summary for one in found[:3])} if found else {}


class SummaryGuards:
    """`degraded`: the chain is above L0. `breaker`: that of the primary or of the candidate is open somewhere."""

    def __init__(self, read_summary: Callable[[], Awaitable[Summary]]) -> None:
        self._read_summary = read_summary

    async def holding(self, plan: Plan) -> Mapping[Guard, str]:
        """As `Guards.holding`. Raises `StoreAway` where the scoreboard does not answer."""
        summary = await self._read_summary()
        found: dict[Guard, str] = {}
        if summary.chain is not None and summary.chain.level > Level.FULL:
            found["degraded"] = f"the telemetry chain is at {Level(summary.chain.level).label}"
        arms = (plan.primary, plan.candidate)
        broken = [one.model for one in summary.models if one.model in arms and one.breaker >= _OPEN]
        if broken:
            found["breaker"] = f"open: {', '.join(broken)}"
        return found


class _Alert(msgspec.Struct):
    labels: dict[str, str]
    state: str
    annotations: dict[str, str] = {}


class _Alerts(msgspec.Struct):
    alerts: list[_Alert]


class _Reply(msgspec.Struct):
    data: _Alerts


class NoPrometheus:
    """`slo_burn` and `alerts` where nobody said which Prometheus watches."""

    async def holding(self, plan: Plan) -> Mapping[Guard, str]:
        """As `Guards.holding`."""
        del plan
        told = "nobody can tell: set MESH_PROMETHEUS_URL, or leave it out of freeze_when"
        return {"alerts": told, "slo_burn": told}


class PrometheusGuards:
    """`slo_burn` and `alerts`: what fires of the shipped rules at severity page, of objectives and of all else.

    Source: https://prometheus.io/docs/prometheus/latest/querying/api/#alerts.
    """

    def __init__(self, url: str) -> None:
        """`url` is the server's, such as http://prometheus:9090."""
        self._url = f"{url}/api/v1/alerts"
        self._shown = shown_url(self._url)

    async def holding(self, plan: Plan) -> Mapping[Guard, str]:
        """As `Guards.holding`. Raises `StoreAway`."""
        del plan
        firing = [one for one in await asyncio.to_thread(self._read) if _ours(one)]
        burning = [one for one in firing if one.labels["alertname"].startswith(_BURN)]
        others = [one for one in firing if one not in burning]
        told: dict[Guard, list[_Alert]] = {"slo_burn": burning, "alerts": others}
        return {guard: "; ".join(map(_said, alerts[:3])) for guard, alerts in told.items() if alerts}

    def _read(self) -> list[_Alert]:
        try:
            with urllib.request.urlopen(self._url, timeout=_ANSWER_S) as reply:  # noqa: S310 - http or https alone: the settings see to it
                return msgspec.json.decode(reply.read(_MOST_BYTES), type=_Reply).data.alerts
        except InvalidURL as error:  # quotes what it takes for a port, which may be a piece of a password
            raise StoreAway("Prometheus", f"{self._shown} (MESH_PROMETHEUS_URL) is no address") from error
        except (OSError, HTTPException, msgspec.DecodeError) as error:
            raise StoreAway("Prometheus", f"{self._shown} (MESH_PROMETHEUS_URL): {error}") from error


def _ours(alert: _Alert) -> bool:
    named = alert.labels.get("alertname", "").startswith(_OURS)
    return named and alert.state == "firing" and alert.labels.get("severity") == _CRITICAL


def _said(alert: _Alert) -> str:
    return f"{alert.labels['alertname']}: {alert.annotations.get('summary', 'fires')}"
