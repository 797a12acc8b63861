"""What writing events came to, told alike by every store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mesh.alerts import Alert, AlertEvent
from mesh.alerts.digest import event_of
from mesh.alerts.events import EventKind

ALONE: Final = "alone"
"""The verdict on an alert that stands for itself; that on one in a digest is the digest's id."""

UNKNOWN: Final = "unknown"
"""The verdict on an event of an alert that is not kept any more."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one event came to. `fresh`: it changed something, so it is no repeat. `began`: it opened its digest, now or before."""

    event: AlertEvent
    verdict: str
    fresh: bool
    began: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """`publish` is what readers of the alert topic should get, repeats included, in order. The others are what was new.

    `opened`, `updated` and `cleared` stand alone; `grouped` went into a digest. `digests` are the digests that opened.
    """

    publish: tuple[AlertEvent, ...] = ()
    opened: tuple[AlertEvent, ...] = ()
    updated: tuple[AlertEvent, ...] = ()
    cleared: tuple[AlertEvent, ...] = ()
    grouped: tuple[AlertEvent, ...] = ()
    digests: tuple[AlertEvent, ...] = ()


def summed(outcomes: Sequence[Outcome], digests: Mapping[str, Alert]) -> Written:
    """The outcomes of one write; `digests` are those that some event belongs to, as they are now, by id."""
    alone = [one for one in outcomes if one.verdict == ALONE]
    told = _digest_events(outcomes, digests)
    began = {one.verdict for one in outcomes if one.began and one.fresh}
    return Written(
        publish=(*(one.event for one in alone), *told),
        opened=tuple(one.event for one in alone if one.fresh and one.event.kind == "opened"),
        updated=tuple(one.event for one in alone if one.fresh and one.event.kind == "updated"),
        cleared=tuple(one.event for one in alone if one.fresh and one.event.kind == "cleared"),
        grouped=tuple(
            one.event
            for one in outcomes
            if one.verdict in digests and one.fresh and one.event.kind == "opened"
        ),
        digests=tuple(event for event in told if event.kind == "opened" and event.id in began),
    )


def _digest_events(outcomes: Sequence[Outcome], digests: Mapping[str, Alert]) -> list[AlertEvent]:
    """One event a digest, however many alerts went into it; clearing and updates inside one are not told.

    An opening that comes again may be one that nobody heard of. It is told with an update, for those who did and drop it.
    """
    causes: dict[str, AlertEvent] = {}
    began: dict[str, bool] = {}
    for one in outcomes:
        if one.verdict in digests and one.event.kind == "opened":
            causes[one.verdict] = one.event
            if one.began:
                began[one.verdict] = began.get(one.verdict, False) or one.fresh
    return [
        event_of(digests[digest], kind, cause)
        for digest, cause in causes.items()
        for kind in _kinds(began.get(digest))
    ]


def _kinds(fresh: bool | None) -> tuple[EventKind, ...]:
    """`fresh` says of an opening whether it is the first time; None where there is none."""
    if fresh is None:
        return ("updated",)
    return ("opened",) if fresh else ("opened", "updated")
