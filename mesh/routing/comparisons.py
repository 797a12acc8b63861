"""Which rows a shadow is compared on: those whose own route's primary was scored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mesh.routing.stack import Entry
from mesh.routing.steps import ShadowCall
from mesh.routing.types import Origin
from mesh.routing.voices import Chunk, Voice


@dataclass(slots=True, eq=False)
class _Noted:
    """A shadow of a route: the rows that it is to see, and by entry those that it can be compared on."""

    route: str
    model: str
    rows: int
    against: Sequence[tuple[Entry, np.ndarray]]


class Comparisons:
    """The shadows of one cascade.

    The primary of a row is what the route itself sent it to. A route without `send` and `split` compares with the
    answer that the row had so far. Rows that the route's canary took have no primary of the route.
    """

    __slots__ = ("_noted",)

    def __init__(self) -> None:
        """Nothing noted."""
        self._noted: list[_Noted] = []

    def note(
        self,
        route: str,
        model: str,
        rows: int,
        against: Sequence[tuple[Entry, np.ndarray]],
        seen: np.ndarray | None,
    ) -> None:
        """`model` is to see the route's `rows` rows, or where `seen` is given only those.

        `against` are the entries to compare with and their rows.
        """
        if seen is not None:
            rows = len(seen)
            against = [(entry, part[np.isin(part, seen, assume_unique=True)]) for entry, part in against]
        self._noted.append(_Noted(route, model, rows, against))

    def calls(
        self, voices: Mapping[str, Voice], joined: Mapping[int, Voice]
    ) -> tuple[tuple[ShadowCall, ...], dict[str, int]]:
        """The shadow calls, one for each shadow and answer to compare with, and the rows skipped by shadow model."""
        calls: list[ShadowCall] = []
        skipped: dict[str, int] = {}
        for noted in self._noted:
            sent = 0
            for entry, rows in noted.against:
                models = entry.source.models
                primary = voices.get(models[0]) if len(models) == 1 else joined.get(entry.number)
                scored = rows[:0] if primary is None else primary.answered(rows)
                if primary is None or not len(scored):
                    continue
                sent += len(scored)
                origin_of = entry.source.route, entry.source.role
                for chunk, part in primary.parts(scored):
                    origin = Origin(chunk.model, chunk.version, *origin_of)
                    calls += _calls(noted, chunk, part, origin, voices.get(noted.model))
            if sent < noted.rows:
                skipped[noted.model] = skipped.get(noted.model, 0) + noted.rows - sent
        return tuple(calls), skipped


def _calls(
    noted: _Noted, chunk: Chunk, rows: np.ndarray, origin: Origin, voice: Voice | None
) -> list[ShadowCall]:
    """One call; more where the shadow has answered some of the rows within the cascade already."""
    known = rows[:0] if voice is None else voice.answered(rows)
    if voice is None or not len(known):
        return [ShadowCall(noted.model, rows, noted.route, *chunk.take(rows), origin)]
    calls = [
        ShadowCall(noted.model, part, noted.route, *chunk.take(part), origin, answer.take(part)[0])
        for answer, part in voice.parts(known)
    ]
    asked = np.setdiff1d(voice.unasked(rows), known, assume_unique=True)
    if len(asked):
        calls.append(ShadowCall(noted.model, asked, noted.route, *chunk.take(asked), origin))
    return calls
