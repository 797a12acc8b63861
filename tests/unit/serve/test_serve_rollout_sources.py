"""What a mesh's own guards look at: gates in the registry, drift alerts, the chain's level and breakers."""

from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from mesh.alerts import Policy
from mesh.errors import StoreAway
from mesh.registry import Draft, FolderObjects, GateResult, Lineage, MemoryAudit, Registry
from mesh.rollouts.plan import AlertRule, Metric, Plan, Step
from mesh.settings import Settings
from mesh.spec import load_mesh
from mesh.stores.alerts import MemoryAlerts
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder
from mesh.telemetry.summary import Summary
from mesh.telemetry.totals import Totals
from serve.api.drift import drift_router
from serve.drift import DriftNow
from serve.http.api import build_api
from serve.oip.inference import Inference
from serve.oip.ports import ServerFacts
from serve.rollout_guards import DriftGuard, GateGuard, PrometheusGuards, SummaryGuards
from tests.fakes.alert_events import BEGAN, opened
from tests.fakes.callers import AsActor
from tests.fakes.echo_engine import EchoEngine

HOUR = 3_600_000
PLAN = Plan(
    "try", "default", "pump@1", "pump@2", AlertRule(0.8), (Step("shadow"), Step("promote")),
    (Metric("apart", "discordance", margin=0.1),), model="pump",
)  # fmt: skip


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Version 1 passed, version 2 did not, version 3 was never examined."""
    made = Registry(FolderObjects(tmp_path / "registry"), MemoryAudit())
    passed = GateResult("schema", "passed", 0, 0, "as declared")
    failed = GateResult("benchmark-found", "failed", 0.1, 0.9, "finds 0.100 of faults: 0.800 short")
    for number, gates in enumerate(((passed,), (passed, failed), ()), 1):
        files = {"model.onnx": f"model {number}".encode()}
        made.add(Draft("pump", "retrained", files, "f00d", Lineage(), gates, 5_000, "ann"))
    return made


def gate(folder: Path, registry: Registry, models: str) -> GateGuard:
    (folder / "models.yaml").write_text(f"models:\n{models}")
    config = load_mesh(folder, Settings(default_model_id="pump@1"))
    return GateGuard(lambda: registry, lambda: config)


ONE = "  pump@1: {runtime: onnx, path: 'registry:pump@1'}\n"


async def test_a_version_that_failed_a_gate_holds_and_says_which(tmp_path: Path, registry: Registry) -> None:
    guard = gate(tmp_path, registry, ONE)
    assert await guard.holding(replace(PLAN, candidate="pump@1")) == {}
    held = await guard.holding(PLAN)
    assert held == {
        "gates": "version 2 of 'pump' has not passed: benchmark-found: finds 0.100 of faults: 0.800 short"
    }
    assert "it has no gate report" in (await guard.holding(replace(PLAN, candidate="pump@3")))["gates"]
    assert (
        "has no version 4; there are: 1, 2, 3"
        in (await guard.holding(replace(PLAN, candidate="pump@4")))["gates"]
    )
    assert "names no `model`" in (await guard.holding(replace(PLAN, model="")))["gates"]


@pytest.mark.parametrize(
    ("entry", "is_it"),
    [
        ("path: 'registry:pump@1'", True),
        ("path: 'registry:pump@2'", False),
        ("path: 'registry:other@1'", False),
        ("path: 'models:/pump/1'", False),
        ("path: pump.onnx", False),
        ("path: pump.onnx, sha256: {digest}", True),
        (f"path: pump.onnx, sha256: '{'0' * 64}'", False),
    ],
)
async def test_what_is_hosted_must_be_what_was_examined(
    tmp_path: Path, registry: Registry, entry: str, is_it: bool
) -> None:
    digest = registry.get("pump", 1).digest
    entry = entry.replace("{digest}", digest)
    guard = gate(tmp_path, registry, f"  pump@1: {{runtime: onnx, {entry}}}\n")
    held = await guard.holding(replace(PLAN, candidate="pump@1"))
    assert ("gates" not in held) is is_it
    assert is_it or "which is not version 1" in held["gates"]


def summary(level: int | None = None, **breakers: int) -> Summary:
    recorder, totals = Recorder(), Totals()
    if level is not None:
        recorder.set(names.TELEMETRY_LEVEL, level)
    for model, state in breakers.items():
        recorder.set(names.BREAKER_STATE, state, (model.replace("_", "@"),))
        recorder.set(names.MODEL_REPLICAS, 1, (model.replace("_", "@"), "1"))
    recorder.set(names.DRIFT_MEAN, 0.25, ("score",))
    recorder.set(names.DRIFT_MEAN, 0.5, ("input.flow",))
    recorder.count(names.DRIFT_ALARMS, 2, ("score", "adwin"))
    totals.take("one", recorder.snapshot(), 1.0)
    return totals.summary(2.0, 5.0)


async def test_a_level_above_l0_and_an_open_breaker_of_either_arm_hold() -> None:
    async def holding(found: Summary) -> dict[str, str]:
        async def read() -> Summary:
            return found

        return dict(await SummaryGuards(read).holding(PLAN))

    assert await holding(summary()) == {}
    assert await holding(summary(0, pump_1=0, pump_2=1, other=2)) == {}
    assert await holding(summary(2, pump_1=0, pump_2=2)) == {
        "degraded": "the telemetry chain is at L2",
        "breaker": "open: pump@2",
    }


def drift_alert(n: int, at: int):
    one = opened(n, rule="drift", asset="fleet", at=at)
    return replace(one, key=f"input.sensor-{n}", summary=f"input.sensor-{n} drifts")


async def drift_now(alerts: MemoryAlerts) -> DriftNow:
    async def read() -> Summary:
        return summary()

    return DriftNow(alerts, HOUR, read, lambda: BEGAN + 2 * HOUR)


async def test_drift_holds_until_it_is_old_or_resolved_also_where_a_digest_tells_it() -> None:
    alerts = MemoryAlerts(Policy())
    old, lately = drift_alert(1, HOUR - 1), [drift_alert(n, HOUR + n) for n in (2, 3, 4)]
    drift = await drift_now(alerts)
    await alerts.write([old, opened(9, at=2 * HOUR)])
    assert await DriftGuard(drift).holding(PLAN) == {}
    await alerts.write(lately)  # the budget lets one stand alone
    found = await drift.drifting()
    assert {one.stream for one in found} == {f"input.sensor-{n}" for n in (2, 3, 4)}
    assert "input.sensor-" in (await DriftGuard(drift).holding(PLAN))["drift"]
    for one in {one.alert for one in found}:
        await alerts.act(one, "resolve", "ann", BEGAN + 2 * HOUR)
    assert await DriftGuard(drift).holding(PLAN) == {}


async def test_a_stream_that_drifts_again_is_told_by_its_newest_alarm_also_in_a_digest() -> None:
    alerts = MemoryAlerts(Policy())
    await alerts.write([drift_alert(2, HOUR + 2)])  # the budget lets one stand alone
    again = replace(drift_alert(3, HOUR + 60_000), key="input.sensor-2")
    await alerts.write([opened(9, at=HOUR + 30_000), again])
    drift = await drift_now(alerts)
    (found,) = await drift.drifting()
    assert (found.stream, found.at) == ("input.sensor-2", again.opened_at)


async def test_drift_is_shown_with_all_that_is_watched() -> None:
    alerts = MemoryAlerts(Policy())
    await alerts.write([drift_alert(2, HOUR + 5)])
    inference = Inference(EchoEngine({}), ServerFacts("under-test", "9", {}), None, None)
    http = TestClient(AsActor(build_api(inference, [drift_router(await drift_now(alerts))]), role="viewer"))
    shown = http.get("/mesh/drift").json()
    assert shown["quiet_s"] == 3_600
    assert [(one["stream"], one["summary"]) for one in shown["drifting"]] == [
        ("input.sensor-2", "input.sensor-2 drifts")
    ]
    assert shown["watched"] == [
        {"stream": "input.flow", "mean": 0.5, "alarms": 0},
        {"stream": "score", "mean": 0.25, "alarms": 2},
    ]


@pytest.mark.parametrize(
    "url", ["http://me:hunter2/x@prometheus:9090", "http://me:hunter2#x@prometheus:9090"]
)
async def test_an_address_of_prometheus_that_is_none_is_told_without_its_password(url: str) -> None:
    with pytest.raises(StoreAway, match=r"MESH_PROMETHEUS_URL\) is no address") as told:
        await PrometheusGuards(url).holding(PLAN)
    assert "hunter2" not in str(told.value)
