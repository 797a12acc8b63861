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
        """The shadow calls, one for each shadow and answer to compare with, and the rows skipped by shadow.

        A row is skipped where its primary was not scored or failed, or where the shadow, as a model of the cascade, has
        failed on it.
        """
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
                role = entry.source.role
                for chunk, part in primary.parts(scored):
                    origin = Origin(chunk.model, chunk.version, entry.source.route, role)
                    made = _calls(noted, chunk, part, origin, voices.get(noted.model))
                    sent += sum([len(call.rows) for call in made])
                    calls += made
            if sent < noted.rows:
                skipped[noted.model] = skipped.get(noted.model, 0) + noted.rows - sent
        return tuple(calls), skipped


def _calls(
    noted: _Noted, chunk: Chunk, rows: np.ndarray, origin: Origin, voice: Voice | None
) -> list[ShadowCall]:
    """One call; others for rows that the shadow has answered within the cascade, none for those it failed on."""
    if voice is None:
        return [ShadowCall(noted.model, rows, noted.route, *chunk.take(rows), origin)]
    calls: list[ShadowCall] = []
    known, unasked = voice.answered(rows), voice.unasked(rows)
    if len(known):
        for answer, part in voice.parts(known):
            outputs, _ = answer.take(part)
            calls.append(ShadowCall(noted.model, part, noted.route, *chunk.take(part), origin, outputs))
    if len(unasked):
        calls.append(ShadowCall(noted.model, unasked, noted.route, *chunk.take(unasked), origin))
    return calls
