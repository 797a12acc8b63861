"""An engine's observer that also tells what shadows say of rows that people are asked about."""

from contextlib import AsyncExitStack

from mesh.engine.compared import Compared, ShadowKey
from mesh.engine.ports import Observer, ShadowOutcome
from mesh.review.feed import RedisCandidates
from mesh.review.offering import Offering
from mesh.review.plan import ReviewPlan
from mesh.settings import Settings
from mesh.telemetry.recorder import Recorder


def open_offering(
    settings: Settings, plan: ReviewPlan, recorder: Recorder, parts: AsyncExitStack
) -> Offering:
    """An offering that is at work already; `parts` ends it."""
    candidates = RedisCandidates(settings.redis_url, kept=plan.waiting)
    offering = Offering(candidates, recorder)
    offering.start()
    for end in (candidates.close, offering.stop):  # the last is ended first
        parts.push_async_callback(end)
    return offering


class ReviewWatch:
    """Passes everything on to `observer`."""

    def __init__(self, observer: Observer, offering: Offering) -> None:
        self._observer, self._offering = observer, offering
        self.called = observer.called  # nothing is added: one call less for each
        self.answered = observer.answered

    def shadowed(
        self, model: str, outcome: ShadowOutcome, rows: int, what: Compared | ShadowKey | None
    ) -> None:
        """As `Observer.shadowed`."""
        self._observer.shadowed(model, outcome, rows, what)
        if isinstance(what, Compared):
            mine, theirs = what.scores
            self._offering.heard(what.ids, ((what.primary_origin.model, mine), (what.key.shadow, theirs)))
