"""`review-*`: the queue with 10,000 open items over HTTP, and 1,000 alerts a second from the stream to the queue.

One client at a time against the routes behind uvicorn, on SQLite, features and history as wide as the shipped telemetry's. The
alerts go into a real Redis in batches of 100, ten a second; what counts is when the last of them is in the queue.
"""

import asyncio
import http.client
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import redis
import uvicorn
from fastapi import FastAPI

from benchmarks import review_rows
from benchmarks.results import Row, at_most, reaches, skipped
from mesh.alerts import AlertEvent, Budget, Place, Policy, Retention
from mesh.records.audit_log import AuditLog
from mesh.records.database import Database, open_database
from mesh.records.entry import Actor
from mesh.records.ledger import AuditedLedger
from mesh.records.transactions import Transactions
from mesh.review.feed import MemoryCandidates
from mesh.review.follow import ReviewFollower
from mesh.review.from_alerts import AlertReading
from mesh.review.intake import TOGETHER
from mesh.review.origin import Origin
from mesh.review.reviewing import Reviewing, reviewing
from mesh.review.rules import now_ms
from mesh.review.signals import RecentSignals
from mesh.review.values import Candidate, Prediction
from mesh.stores.alerts import RedisAlerts
from serve.api.review import review_router
from serve.api.review_case import Surroundings

ITEMS: Final = 10_000
WIDTH: Final = 336
ROUNDS: Final = 200
LIMIT_MS: Final = 100.0
ALERTS: Final = 10_000
PER_S: Final = 1_000
PORT: Final = 21_477
NAMES: Final = tuple(f"sensor_{n // 21}.feature_{n % 21}" for n in range(WIDTH))


class As:
    """The application as one analyst sees it."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        scope.setdefault("state", {})["actor"] = Actor("bench", "analyst", "http")
        await self._app(scope, receive, send)


def candidates(begin: int) -> list[Candidate]:
    """Alerts on 2,000 pumps over a day, no two of one incident."""
    draw = np.random.default_rng(7)
    severities = draw.choice(["info", "warning", "critical"], ITEMS)
    return [
        Candidate(
            "alert", f"alert-{n}", f"pump-{n}", begin - n * 8_640,
            Prediction(True, float(draw.random()), 0.8, float(draw.random()), "telemetry-anomaly", "1"),
            severities[n], names=NAMES, features=draw.random(WIDTH).tolist(),
        )
        for n in range(ITEMS)
    ]  # fmt: skip


@contextmanager
def served(
    database: Database, parts: Reviewing, signals: RecentSignals
) -> Iterator[http.client.HTTPConnection]:
    """The routes on a port of their own, and a connection to them."""
    app = FastAPI()
    transactions = Transactions(database)
    around = Surroundings(signals, None, {}, parts.rules.urgency)
    app.include_router(
        review_router(parts, around, AuditedLedger(transactions, AuditLog(database)), transactions)
    )
    server = uvicorn.Server(uvicorn.Config(As(app), port=PORT, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
    yield connection
    connection.close()
    server.should_exit = True
    thread.join(10)


def asked(
    connection: http.client.HTTPConnection, method: str, path: str, body: object = None
) -> tuple[Any, float]:
    """The reply and the milliseconds that it took."""
    began = time.perf_counter()
    connection.request(method, path, orjson.dumps(body or {}), {"content-type": "application/json"})
    reply = connection.getresponse()
    document = reply.read()
    took = (time.perf_counter() - began) * 1e3
    assert reply.status == 200, document[:300]
    return orjson.loads(document), took


def desk_rows(folder: Path) -> list[Row]:
    """The next item with its whole case, a decision, and the first page, each at the 95th percentile."""
    database = open_database(f"sqlite:///{folder}/records.db")
    parts, begin = reviewing(database), now_ms()
    made = candidates(begin)
    for at in range(0, ITEMS, TOGETHER):
        with database.write() as session:
            parts.intake.add(session, made[at : at + TOGETHER], begin)
    signals = RecentSignals(NAMES, assets=ITEMS)
    for one in made[::10]:
        for row in range(200):
            signals.add(one.asset, one.row_time - 8_000 * (199 - row), np.asarray(one.features))
    took: dict[str, list[float]] = {"next": [], "decide": [], "page": []}
    with served(database, parts, signals) as connection:
        for turn in range(ROUNDS):
            case, ms = asked(connection, "POST", "/review/next")
            took["next"].append(ms)
            said = {"action": "confirm", "evidence": case["evidence"]}
            took["decide"].append(
                asked(connection, "POST", f"/review/items/{case['item']['id']}/decide", said)[1]
            )
            if turn % 4 == 0:
                took["page"].append(asked(connection, "GET", "/review/queue?limit=50")[1])
    database.close()
    note = f"{ITEMS:,} open items, {WIDTH} features, SQLite, {ROUNDS} rounds"
    return [
        at_most(f"review-{name}-p95", "ms", [float(np.quantile(times, 0.95))], LIMIT_MS, note)
        for name, times in took.items()
    ]


def event(n: int, at: int) -> AlertEvent:
    """The n-th alert, critical, so that it stands alone."""
    place = Place("raw", n % 4, n)
    return AlertEvent(
        "opened", f"{n:020x}", "hot", "critical", f"pump-{n}", f"pump-{n}", at, at, at, 1, f"pump-{n} is hot", "",
        {"score": 0.9, "confidence": 0.7}, place, place,
    )  # fmt: skip


async def follow(folder: Path) -> tuple[float, float]:
    """Seconds from the first alert until the last is accepted, and until it is in the queue."""
    database = open_database(f"sqlite:///{folder}/alerts.db")
    parts, transactions = reviewing(database), Transactions(database)
    policy = Policy(budget=Budget(600_000, 1), retention=Retention(2 * ALERTS))
    writer, reader = (RedisAlerts(f"redis://127.0.0.1:{PORT + 1}/0", policy) for _ in range(2))
    reading = AlertReading({"hot": "score >= 0.8"}, Origin(), {})
    follower = ReviewFollower(transactions, parts.intake, reader, reader, reading, MemoryCandidates())
    follower.start()
    began = time.perf_counter()
    for at in range(0, ALERTS, 100):
        await asyncio.sleep(max(0.0, began + at / PER_S - time.perf_counter()))
        await writer.write([event(n, now_ms()) for n in range(at, at + 100)])
    accepted = time.perf_counter() - began
    while (await transactions.read(lambda: parts.facts.read(0, 1, 0))).waiting < ALERTS:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    queryable = time.perf_counter() - began
    await follower.stop()
    await transactions.close()
    await writer.close()
    await reader.close()
    return accepted, queryable


def alert_rows(folder: Path) -> list[Row]:
    """How many alerts a second are accepted and in the queue."""
    if not shutil.which("redis-server"):
        return [skipped("review-alerts", "alerts/s", "no redis-server on the PATH")]
    words = [
        "redis-server",
        "--port",
        str(PORT + 1),
        "--bind",
        "127.0.0.1",
        "--dir",
        str(folder),
        "--save",
        "",
    ]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    try:
        client = redis.Redis(port=PORT + 1, retry_on_error=[ConnectionError], socket_timeout=5)
        for _ in range(100):
            try:
                client.ping()
                break
            except redis.RedisError:
                time.sleep(0.05)
        accepted, queryable = asyncio.run(follow(folder))
    finally:
        process.kill()
        process.wait(10)
    note = f"{ALERTS:,} alerts sent at {PER_S:,}/s, accepted within {accepted:.2f} s"
    lag = at_most(
        "review-alerts-lag", "s", [queryable - accepted], 2.0, "the last alert, from the store to the queue"
    )
    return [reaches("review-alerts", "alerts/s", ALERTS / accepted, 0.97 * PER_S, note), lag]


def rows() -> list[Row]:
    """All rows of the part."""
    with tempfile.TemporaryDirectory() as folder:
        return desk_rows(Path(folder)) + alert_rows(Path(folder)) + review_rows.rows()
