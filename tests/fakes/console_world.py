"""The mesh's own API over a database and stores of this process, with something in each of them: what the console's tests ask.

Only what takes Ray is not there: rules, shadows and figures are those that a running mesh told once.
"""

import asyncio
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import uvicorn
from fastapi import APIRouter

from mesh.alerts import Budget, Policy
from mesh.costs import bill
from mesh.costs.usage import ProcessUse, Usage
from mesh.engine.compared import ShadowKey
from mesh.records.bearer import Bearers
from mesh.records.entry import Actor
from mesh.records.opened import Records, records_of
from mesh.review.reviewing import reviewing
from mesh.review.signals import RecentSignals
from mesh.review.values import Candidate, Prediction
from mesh.rollouts.desk import Desk
from mesh.rollouts.memory import MemoryRollouts, MemoryRoutes
from mesh.rollouts.plan import AlertRule, Metric, Plan, Step
from mesh.rollouts.record import Evidence, looked
from mesh.rollouts.states import moved
from mesh.rollouts.tally import Observations, PairSeen
from mesh.rules.book import Book
from mesh.rules.opening import open_rules
from mesh.rules.ports import HostedElsewhere, NoAudit
from mesh.rules.reading import Reader
from mesh.rules.stores import MemoryRulesStore
from mesh.settings import Settings
from mesh.shadows.values import Disagreement, ShadowCounts, ShadowReport, Side
from mesh.spec import load_prices
from mesh.stores.alerts import MemoryAlerts
from mesh.stores.online import MemoryOnlineStore
from mesh.telemetry.summary import DriftState
from serve.access.gate import Gate
from serve.access.guard import Guard
from serve.access.whoami import whoami_router
from serve.api.alerts import alerts_router
from serve.api.audit import audit_router
from serve.api.costs import costs_router
from serve.api.drift import drift_router
from serve.api.features import features_router
from serve.api.review import review_router
from serve.api.review_case import Surroundings
from serve.api.rollouts import rollouts_router
from serve.api.rules import rules_router
from serve.api.shadows import shadows_router
from serve.drift import Drifting
from serve.http.app import MeshApp
from serve.oip.inference import Inference
from serve.oip.ports import ServerFacts
from serve.status import status_router
from tests.fakes.alert_events import BEGAN, opened
from tests.fakes.echo_engine import EchoEngine
from tests.fakes.feature_rows import a_view

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("temp.mean", "temp.std", "vibration.rms", "vibration.kurtosis", "pressure.mean", "flow.mean")
PLAN = Plan(
    "pump-anomaly-2", "default", "anomaly", "anomaly@2", AlertRule(0.8),
    (
        Step("shadow", percent=100.0, min_pairs=300, max_ms=7_200_000), Step("canary", percent=10.0, hold_ms=900_000),
        Step("approval", roles=("analyst",), timeout_ms=86_400_000), Step("promote"),
    ),
    (
        Metric("apart", "discordance", margin=0.1, due="shadow"),
        Metric("alerts", "alert_disagreement", margin=0.05, direction="either", due="shadow"),
    ),
)  # fmt: skip
ROOT_ACTOR = Actor("root", "admin", "local")


class OnePlan:
    async def names(self) -> Sequence[str]:
        return [PLAN.name]

    async def plan(self, name: str) -> Plan:
        del name
        return PLAN


class Shadows:
    def __init__(self, now: int) -> None:
        side = lambda model, label, score: Side(model, "2", label, score)  # noqa: E731
        rows = [
            Disagreement(
                now - n * 7_000,
                f"event-{n}",
                f"pump-{n % 7}",
                side("anomaly", "anomaly", 0.81 + n / 100),
                side("degrader", "normal", 0.4),
            )
            for n in range(6)
        ]
        buckets = tuple(40 if 15 < at < 22 else 0 for at in range(71))
        counts = ShadowCounts(
            12_480, 3, 0, 96, 12_480, -104.0, 210.0, 0.61, timed_calls=240, seconds_sum=0.12, primary_seconds=buckets,
            shadow_seconds=(0, 0, *buckets[:-2]),
        )  # fmt: skip
        self._report = ShadowReport(
            ShadowKey("default", "hybrid-anomaly", "anomaly", "degrader"), counts, rows
        )

    async def reports(self):
        return (self._report,)


class Figures:
    """What the status of a mesh with three models says."""

    async def collect(self):
        flow = lambda total, per_s: {"total": total, "per_s": per_s}  # noqa: E731
        model = lambda name, calls, p50, p95, breaker=0: {  # noqa: E731
            "model": name, "replicas": 1, "calls": flow(calls, calls / 600), "failed_calls": flow(breaker * 17, 0.0),
            "rows": flow(calls * 40, calls / 15), "call": {"p50": p50, "p95": p95}, "breaker": breaker, "shadow_rows": {},
        }  # fmt: skip
        route = lambda name, role, who, rows: {  # noqa: E731
            "endpoint": "default", "route": name, "role": role, "model": who, "rows": flow(rows, rows / 600),
        }  # fmt: skip
        return {
            "models": {
                name: {"version": version, "runtime": runtime, "replicas": replicas, "nodes": ["node-1"]}
                for name, version, runtime, replicas in (
                    ("rules", "1", "rules", 1), ("anomaly", "1", "onnx", 2), ("anomaly@2", "2", "onnx", 1),
                    ("degrader", "1", "onnx", 1),
                )
            },
            "endpoints": {"default": {"ready": True, "models": ["anomaly", "rules"]}},
            "default_endpoint": "default", "rules": "1c1c9a22f0b4", "rules_version": 12, "data_path": "direct", "rows_waiting": 0,
            "figures": {
                "models": [
                    model("rules", 42_000, 0.0002, 0.0004), model("anomaly", 18_700, 0.0011, 0.0024),
                    model("anomaly@2", 2_050, 0.0012, 0.0027),
                    model("degrader", 900, 0.004, 0.031, 2),
                ],
                "routes": [
                    route("baseline", "primary", "rules", 96_400), route("hybrid-anomaly", "primary", "anomaly", 38_200),
                    route("canary-rollout", "canary", "anomaly@2", 4_150), route("hybrid-anomaly", "fallback", "rules", 210),
                ],
            },
        }  # fmt: skip


class Costs:
    def __init__(self) -> None:
        self.prices = load_prices(ROOT / "config")

    async def bill(self):
        used = tuple(
            ProcessUse(name, cpu, memory)
            for name, cpu, memory in (
                ("router", 96.0, 0.015),
                ("model anomaly", 150.0, 0.022),
                ("ingest", 61.0, 0.02),
                ("telemetry", 84.0, 0.03),
            )
        )
        return bill(Usage(300.0, used, 0.21, 148_000, 9, 0, stored_gb={"warm": 14.0}), self.prices)


class Drifts:
    """Two sensors and the score are watched; one of the sensors has changed."""

    quiet_ms = 3_600_000

    def __init__(self, now: int) -> None:
        self._now = now

    async def drifting(self) -> list[Drifting]:
        said = "input.flow drifts: 0.6113 where it was 0.5420 (adwin); training is proposed"
        return [Drifting("input.flow", self._now - 600_000, said, "5f1c9a")]

    async def watched(self) -> list[DriftState]:
        return [
            DriftState("input.flow", 0.6113, 1),
            DriftState("input.vibration_axial", 0.1204, 0),
            DriftState("score", 0.4871, 0),
        ]


@dataclass
class World:
    """A running API. `url` is its address; `token(name, role)` makes one."""

    records: Records
    url: str
    alerts: MemoryAlerts
    rollouts: MemoryRollouts
    candidates: list[Candidate]
    server: uvicorn.Server
    thread: threading.Thread
    loop: asyncio.AbstractEventLoop

    def token(self, name: str, role: str) -> str:
        return self.records.tokens.create(ROOT_ACTOR, name, role).text

    def entries(self) -> list[tuple[str, str, str]]:
        """Who did what to what, oldest first, as the audit log has it."""
        return [(one.actor, one.action, one.target) for one in self.records.audit.entries()]

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(15)


def candidates(now: int, many: int) -> list[Candidate]:
    """Alerts on pumps, incidents on pump-1 and mixer-1, an unsure answer, and rows that chance drew."""
    draw = np.random.default_rng(11)

    def one(n: int, source: str, asset: str, ago_s: int, severity: str, **more) -> Candidate:
        score = float(draw.uniform(0.8, 0.99))
        said = Prediction(
            True,
            score,
            0.8,
            float(draw.uniform(0.4, 0.95)),
            "anomaly",
            "1",
            "hybrid-anomaly",
            "primary",
            "1c1c9a22f0b4",
            {"anomaly": score, "degrader": score - 0.2},
        )
        at = now - ago_s * 1_000
        alert = opened(n, severity, "anomaly", asset).id if source == "alert" else ""
        return Candidate(
            source,
            f"{source}-{n}",
            asset,
            at,
            said,
            severity,
            names=NAMES,
            features=_row(n, at, now).tolist(),
            alert=alert,
            **more,
        )

    found = [
        one(
            n,
            "alert",
            "pump-1",
            60 * n,
            "critical",
            alert_rule="anomaly",
            summary=f"pump-1: anomaly score 0.9{n}",
        )
        for n in range(1, 5)
    ]
    found += [
        one(
            n,
            "alert",
            "mixer-1",
            900 + n,
            "info",
            alert_rule="anomaly",
            summary="mixer-1: anomaly score 0.85",
        )
        for n in range(90_001, 90_004)
    ]
    found += [
        one(n, "alert", f"pump-{n}", 30 + 47 * (n % 50), ("critical", "warning", "warning", "info")[n % 4],
            alert_rule="anomaly", summary=f"pump-{n}: anomaly score 0.86")
        for n in range(5, 5 + many)
    ]  # fmt: skip
    found.append(one(2, "unsure", "compressor-2", 300, "info"))
    return found + [one(n, "audit", f"fan-{n}", 600 + n, "warning", inclusion=0.1) for n in range(3)]


def _opened(one: Candidate):
    """The alert that the candidate came from."""
    event = opened(
        int(one.subject.partition("-")[2]), one.severity, "anomaly", one.asset, one.row_time - BEGAN
    )
    return replace(event, since=one.row_time - 30_000, summary=one.summary, count=12)


def _row(n: int, at: int, now: int) -> np.ndarray:
    phase, ago = n + at / 60_000, (now - at) / 1_000
    moved = 2.5 if ago < 300 else 0.0
    return np.array(
        [
            61 + 2 * math.sin(phase),
            0.4,
            1.1 + moved + 0.1 * math.cos(3 * phase),
            3.2 + 2 * moved,
            4.1,
            12 + math.sin(phase / 3),
        ]
    )


def start(folder: Path, now: int, many: int = 12, access: str = "local") -> World:
    """Serve on a port that the system chooses; returns when it answers."""
    settings = Settings(database_url=f"sqlite:///{folder}/records.db", config_dir=str(ROOT / "config"))
    loop, ready = asyncio.new_event_loop(), threading.Event()
    made: dict = {}

    async def serve() -> None:
        records = records_of(settings, folder)
        alerts, online, rollouts = (
            MemoryAlerts(Policy(budget=Budget(600_000, 100_000))),
            MemoryOnlineStore(),
            MemoryRollouts(),
        )
        routers = await _routers(records, alerts, online, rollouts, settings, now, many)
        inference = Inference(EchoEngine({}), ServerFacts("hyperstream-mesh", "0", {}), None, None)
        app = MeshApp(inference).open(
            routers,
            lambda asked: Guard(asked, Gate(Bearers(records.token), access, "root"), listener_local=True),
        )
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
        made.update(records=records, alerts=alerts, rollouts=rollouts, server=server)
        task = loop.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn tells it no other way
            await asyncio.sleep(0.02)
        made["port"] = server.servers[0].sockets[0].getsockname()[1]
        ready.set()
        await task
        await records.close()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(30)
    url = f"http://127.0.0.1:{made['port']}"
    return World(
        made["records"],
        url,
        made["alerts"],
        made["rollouts"],
        candidates(now, many),
        made["server"],
        thread,
        loop,
    )


async def _routers(records, alerts, online, rollouts, settings, now, many) -> list[APIRouter]:
    found = candidates(now, many)
    parts = reviewing(records.database, draw=lambda: 0.99)
    for at in range(0, len(found), 200):
        with records.database.write() as session:
            parts.intake.add(session, found[at : at + 200], now)
    await alerts.write([_opened(one) for one in found[:60] if one.source == "alert"])
    signals = RecentSignals(NAMES)
    for asset in {one.asset for one in found[:200]}:
        for step in range(90):
            at = now - (90 - step) * 20_000
            signals.add(asset, at, _row(hash(asset) % 7, at, now))
    view = a_view(columns=NAMES)
    await online.write(view, _newest(view, found[:200], now))
    await _rollout(rollouts, now)
    around = Surroundings(
        signals, alerts, {"anomaly": "score >= 0.8 && confidence >= 0.6"}, parts.rules.urgency
    )
    reader = Reader(ROOT / "config", settings)
    book = Book(
        open_rules(None, reader, now - 5_400_000), reader, MemoryRulesStore(), HostedElsewhere(), NoAudit()
    )
    desk = Desk(
        rollouts,
        rollouts,
        MemoryRoutes({"routes": [{"name": "main", "when": "always", "send": ["anomaly"]}]}),
    )
    return [
        status_router(Figures()),
        alerts_router(alerts, records.ledger),
        features_router({view.name: view}, online),
        rules_router(book, book, records.ledger),
        shadows_router(Shadows(now)),
        costs_router(Costs()),
        drift_router(Drifts(now)),
        whoami_router(),
        audit_router(records.audit, records.transactions),
        review_router(parts, around, records.ledger, records.transactions),
        rollouts_router(desk, OnePlan(), records.ledger),
    ]


def _newest(view, found, now):
    from mesh.stores import FeatureBatch

    assets = sorted({one.asset for one in found})
    values = np.stack([_row(n, now, now) for n in range(len(assets))])
    times = np.full(len(assets), now, np.int64)
    return FeatureBatch(assets, times, times + 40, values)


async def _rollout(book: MemoryRollouts, now: int) -> None:
    """One that has looked at its evidence and waits for an approval."""
    from mesh.rollouts.states import begun

    one = begun(PLAN, "olu", now - 3_600_000)
    await book.write(one, None)
    two = moved(one, "shadow", now_ms=now - 3_590_000)
    await book.write(two, one)
    three = moved(
        two, "pause", now_ms=now - 60_000, reason="waits for an approval by analyst", step=2, pause="approval"
    )
    await book.write(three, two)
    evidence = Evidence()
    for look in range(40):
        at = now - 3_500_000 + look * 80_000
        window = at // PLAN.window_ms - 2  # just over
        pairs = tuple(
            PairSeen(f"u{look}-{n}", window, n == 0, n == 0 or (n == 1 and look % 9 == 0)) for n in range(20)
        )
        evidence = looked(PLAN, evidence, [Observations(pairs=pairs)], {}, at)
    await book.keep(three, evidence)
