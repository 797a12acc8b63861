"""`records-audit-*`: audited changes a second, each with its entry in one transaction, committed to the disk.

64 callers on one event loop, as the API has them, for three seconds a round; then every hash is computed again.
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from benchmarks.results import Row, at_most, reaches
from mesh.records.audit_log import AuditLog
from mesh.records.database import open_database
from mesh.records.entry import Actor, Change
from mesh.records.ledger import AuditedLedger
from mesh.records.transactions import Transactions

CALLERS: Final = 64
SECONDS: Final = 3.0
ANN: Final = Actor("ann", "analyst", "token:5f1c9a0b7d21")


def rows(rounds: int) -> list[Row]:
    """Changes a second, the p95 of one of them, and entries verified a second."""
    rates, p95s, checks = [], [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            rate, p95, check = asyncio.run(_round(Path(folder) / "records.db"))
        rates.append(rate)
        p95s.append(p95)
        checks.append(check)
    note = f"SQLite, WAL, synchronous=FULL, {CALLERS} callers"
    return [
        reaches("records-audit-write", "changes/s", statistics.median(rates), 1_000, note),
        at_most("records-audit-write-p95", "ms", p95s, 100, note),
        reaches(
            "records-audit-verify",
            "entries/s",
            statistics.median(checks),
            10_000,
            "every hash computed again",
        ),
    ]


async def _round(file: Path) -> tuple[float, float, float]:
    database = open_database(f"sqlite:///{file}")
    with database.write() as session:
        session.execute(text("CREATE TABLE marks (alert TEXT PRIMARY KEY, by TEXT, at INTEGER)"))
    audit = AuditLog(database)
    transactions = Transactions(database)
    ledger = AuditedLedger(transactions, audit)
    took: list[float] = []
    ends = time.monotonic() + SECONDS

    async def caller(name: int) -> None:
        number = 0
        while time.monotonic() < ends:
            number += 1
            alert = f"{name}-{number}"
            began = time.monotonic()
            await ledger.change(lambda session, alert=alert: _mark(session, alert))  # type: ignore[misc]
            took.append(time.monotonic() - began)

    began = time.monotonic()
    await asyncio.gather(*(caller(name) for name in range(CALLERS)))
    rate = len(took) / (time.monotonic() - began)
    began = time.monotonic()
    verdict = audit.verify()
    checked = verdict.entries / (time.monotonic() - began)
    await transactions.close()
    if not verdict.whole or verdict.entries != len(took):
        raise RuntimeError(f"the log is not what was written: {verdict}")
    return rate, 1_000 * statistics.quantiles(took, n=20)[-1], checked


def _mark(session: Session, alert: str) -> tuple[None, Change]:
    session.connection().exec_driver_sql("INSERT INTO marks VALUES (?, ?, ?)", (alert, ANN.name, 0))
    return None, Change(ANN, "alerts.acknowledge", f"alert:{alert}", {"note": "looking at it"})
