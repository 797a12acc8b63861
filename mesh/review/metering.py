"""What reviewing comes to, as metrics: decisions as they are made, and how the queue and its people stand."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mesh.errors import MeshError
from mesh.records.transactions import Transactions
from mesh.review.decisions import Decided
from mesh.review.quality import Quality, quality
from mesh.review.reviewing import Reviewing
from mesh.review.rules import now_ms
from mesh.review.tables import ItemRow
from mesh.review.values import QUEUED
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder

logger = logging.getLogger(__name__)

LOOK_S: Final = 15.0
FIGURES_EVERY: Final = 4
"""The figures of people take a look at all decisions, so only every fourth look has them."""
SPAN_MS: Final = 7 * 86_400_000
_UNKNOWN: Final = "unknown"


class ReviewMetering:
    """Records into one `recorder`, on its thread."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def decided(self, made: Sequence[Decided]) -> None:
        """Decisions that were kept, undone ones among them."""
        recorder = self._recorder
        for one in made:
            decision = one.decision
            model = decision.model or _UNKNOWN
            recorder.count(names.REVIEW_DECISIONS, 1, (decision.action, model))
            if decision.action == "override":
                recorder.count(names.REVIEW_OVERRIDES, 1, (decision.reason or "none", model))
            if decision.seconds > 0 and decision.bulk is None:
                recorder.observe(names.REVIEW_SECONDS, decision.seconds)

    def standing(self, states: dict[str, int], held: int, overdue: int) -> None:
        """Items that wait, by state; those that people hold; those that are past their due."""
        for state in QUEUED:
            self._recorder.set(names.REVIEW_ITEMS, states.get(state, 0), (state,))
        self._recorder.set(names.REVIEW_HELD, held)
        self._recorder.set(names.REVIEW_OVERDUE, overdue)

    def figures(self, found: Quality) -> None:
        """How people agree, how often they differ from the mesh, how long it takes; what is not known yet is not told."""
        told = (
            (names.REVIEW_AGREEMENT, found.agreement.alpha, ("alpha",)),
            (names.REVIEW_AGREEMENT, found.agreement.ac1, ("ac1",)),
            (names.REVIEW_OVERRIDE_RATIO, found.overrides.value, ()),
            (names.REVIEW_DETECTION, found.detection.mean, ()),
            (names.REVIEW_REPAIR, found.repair.mean, ()),
        )
        for metric, value, labels in told:
            if value is None:
                self._recorder.unset(metric, labels)
            else:
                self._recorder.set(metric, value, labels)


class ReviewGauges:
    """Looks at the records now and then. Owns a task from `start` to `stop`."""

    def __init__(self, parts: Reviewing, transactions: Transactions, metering: ReviewMetering) -> None:
        self._parts, self._transactions, self._metering = parts, transactions, metering
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, on the loop that runs."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def look(self, *, figures: bool) -> None:
        """Read what is so now. Raises `StoreAway`."""
        parts, now = self._parts, now_ms()

        def standing() -> tuple[dict[str, int], int, int]:
            with parts.view.database.read() as session:
                return _standing(session, now)

        self._metering.standing(*await self._transactions.read(standing))
        if figures:
            facts = await self._transactions.read(lambda: parts.facts.read(now - SPAN_MS, now + 1, now))
            self._metering.figures(await asyncio.to_thread(quality, facts, parts.budget.allowance))

    async def _run(self) -> None:
        turn, away = 0, False
        while True:
            try:
                await self.look(figures=turn % FIGURES_EVERY == 0)
                away = False
            except MeshError as error:
                logger.log(logging.DEBUG if away else logging.WARNING, "review is not metered: %s", error)
                away = True
            except Exception:  # figures that fail must not end the looking
                logger.exception("review is not metered")
            turn += 1
            await asyncio.sleep(LOOK_S)


def _standing(session: Session, now: int) -> tuple[dict[str, int], int, int]:
    waiting = ItemRow.state.in_(QUEUED)
    counted = select(ItemRow.state, func.count()).where(waiting).group_by(ItemRow.state)
    states = {row[0]: row[1] for row in session.execute(counted)}
    held = session.scalar(select(func.count()).select_from(ItemRow).where(ItemRow.lease_until > now))
    overdue = session.scalar(select(func.count()).select_from(ItemRow).where(waiting, ItemRow.due < now))
    return states, held or 0, overdue or 0
