"""Where the rows of one batch stand in the routes of a table: the state of a cascade."""

from collections.abc import Mapping, Sequence

import numpy as np

from mesh.routing.answers import Part, build_answer, column
from mesh.routing.comparisons import Comparisons
from mesh.routing.ensemble import join_voices, worst
from mesh.routing.facts import ModelFacts
from mesh.routing.heard import Heard
from mesh.routing.keys import Keys
from mesh.routing.masks import Column
from mesh.routing.plan import PlannedRoute, Source
from mesh.routing.stack import Entry, Stack
from mesh.routing.steps import CascadeResult, ModelCall
from mesh.routing.table import RouteTable
from mesh.routing.types import Batch, CallResult, RowFailure, Variant
from mesh.routing.voices import Voice
from mesh.routing.when import ANSWER_NAMES


class Progress:
    """One batch on its way through one table. `cascade` drives it; nothing else should but `explain`."""

    __slots__ = (
        "_all",
        "_batch",
        "_calls",
        "_causes",
        "_comparisons",
        "_degraded",
        "_doomed",
        "_ended",
        "_facts",
        "_joined",
        "_table",
        "_variant",
        "_voices",
        "_wave",
        "keys",
        "n",
        "stack",
    )

    def __init__(
        self, table: RouteTable, facts: Mapping[str, ModelFacts], batch: Batch, variant: Variant | None
    ) -> None:
        """Nothing has been routed yet. `variant` is honoured where the table allows it."""
        n = len(batch)
        self.n = n
        self.keys = Keys(batch, table.key)
        self.stack = Stack(n)
        self._table = table
        self._facts = facts
        self._batch = batch
        self._variant = variant if table.variants_allowed else None
        self._all = np.arange(n)
        self._ended: np.ndarray | None = None  # rows whose cascade is over; None while there are none
        self._voices: dict[str, Voice] = {}
        self._joined: dict[int, Voice] = {}  # by entry: the voice of several models together
        self._comparisons = Comparisons()
        self._wave: Sequence[tuple[Entry, np.ndarray]] = ()
        self._calls: tuple[ModelCall, ...] = ()
        self._degraded = np.zeros(n, np.bool_)
        self._causes: dict[int, RowFailure] = {}  # why rows may yet end without an answer
        self._doomed: dict[int, RowFailure] = {}  # rows that failed by `on_error: fail`

    @property
    def ended(self) -> bool:
        """The cascade is over for every row."""
        return self._ended is not None and bool(self._ended.all())

    # -- what rules read

    def lookup(self, name: str) -> Column:
        """The column of an attribute, or of the answer so far."""
        if name in ANSWER_NAMES:
            return column(name, self._parts(), self.n)
        return self._batch.attributes.get(name)

    def needed(self, route: PlannedRoute) -> np.ndarray | None:
        """The rows whose answer the route's `when` depends on: bool [n], or None for all rows.

        A condition that a row's attributes decide alone needs no answer.
        """
        if not route.when.reads_attributes:
            return None if self._ended is None else ~self._ended
        undecided = route.when.undecided(self.n, self.lookup)
        return undecided if self._ended is None else undecided & ~self._ended

    def applies(self, route: PlannedRoute) -> np.ndarray:
        """The rows that the route applies to, ascending."""
        if route.when.always:
            return self._all if self._ended is None else (~self._ended).nonzero()[0]
        holds = route.when.mask(self.n, self.lookup)
        if self._ended is not None:
            holds = holds & ~self._ended
        rows = holds.nonzero()[0]
        return self._all if len(rows) == self.n else rows

    # -- asking models

    def ask(self, needed: np.ndarray | None) -> tuple[ModelCall, ...]:
        """The calls that must be made before the `needed` rows (all, for None) are settled; none when they are."""
        while self.stack.open:
            rows = self.stack.unsettled()
            if needed is not None and len(rows):
                chosen = needed[rows]
                if not chosen.any():
                    return ()
                # These will be asked for in the end anyhow: at the same time is sooner
                if self._ended is not None:
                    chosen = chosen | self._ended[rows]
                rows = rows[chosen]
            if not len(rows):
                return ()
            self._wave = self.stack.by_top(rows)
            self._calls = self._unheard()
            if self._calls:
                return self._calls
            self._settle()
        return ()

    def hear(self, results: Sequence[CallResult]) -> None:
        """The results of the calls last asked for, in their order."""
        for call, result in zip(self._calls, results, strict=True):
            self._voices[call.model].hear(call.rows, result)
        self._settle()

    def _unheard(self) -> tuple[ModelCall, ...]:
        """One call for each model that the wave needs, over the rows it has not been asked about."""
        if len(self._wave) == 1 and len(self._wave[0][0].source.models) == 1:
            entry, rows = self._wave[0]
            model = entry.source.models[0]
            rows = self._voice(model).unasked(rows)
            return (ModelCall(model, rows),) if len(rows) else ()
        asked: dict[str, list[np.ndarray]] = {}
        for entry, rows in self._wave:
            for model in entry.source.models:
                new = self._voice(model).unasked(rows)
                if len(new):
                    asked.setdefault(model, []).append(new)
        return tuple(
            [
                ModelCall(model, parts[0] if len(parts) == 1 else np.sort(np.concatenate(parts)))
                for model, parts in asked.items()
            ]
        )

    def _voice(self, model: str) -> Voice:
        voice = self._voices.get(model)
        if voice is None:
            voice = self._voices[model] = Voice(model, self.n, self._facts.get(model))
        return voice

    def _settle(self) -> None:
        """Every model of the wave has been heard: its rows are answered, or their sources fall."""
        for entry, rows in self._wave:
            voice = self._voice_of(entry, rows)
            failed = voice.failed(rows)
            if failed is None:
                self.stack.settle(entry, rows)
                continue
            answered = voice.answered(rows)
            if len(answered):
                self.stack.settle(entry, answered)
            if len(failed):
                self._fall(entry, voice, failed)

    def _voice_of(self, entry: Entry, rows: np.ndarray) -> Voice:
        models = entry.source.models
        if len(models) == 1:
            return self._voices[models[0]]
        joined = self._joined.get(entry.number)
        if joined is None:
            joined = self._joined[entry.number] = Voice("+".join(models), self.n, None)
        lacking = join_voices(entry.source, [self._voices[model] for model in models], rows, joined)
        if len(lacking):
            self._degraded[lacking] = True
        return joined

    def _fall(self, entry: Entry, voice: Voice, rows: np.ndarray) -> None:
        """The entry's source has failed on `rows`: do as its route's `on_error` says."""
        source = entry.source
        failures = {row: voice.failures[row] for row in rows.tolist()}
        if source.on_error == "fail":
            self._doomed.update(failures)
            self._end(rows)
            self.stack.clear(rows)
            return
        self._degraded[rows] = True
        for row, failure in failures.items():
            earlier = self._causes.get(row)
            self._causes[row] = failure if earlier is None else worst((earlier, failure))
        if source.instead is not None:
            self.stack.replace(entry, source.instead, rows)
        else:
            self.stack.pop(entry, rows)

    # -- routing

    def apply(self, route: PlannedRoute) -> np.ndarray:
        """Send the route's rows to its sources; returns them. What its `when` needs must be settled."""
        rows = self.applies(route)
        if not len(rows):
            return rows
        trial, rest = self._divide(route, rows)
        before = self.stack.top.copy() if route.shadows and not route.primary else None
        own = self._send(route, rest)
        if route.canary is not None and len(trial):
            self.stack.push(route.canary, trial)
        for shadow in route.shadows:
            seen = None if shadow.share >= 1 else rows[self.keys.places(shadow.salt, rows) < shadow.share]
            standing = own if before is None else self.stack.under(before, rest)
            self._comparisons.note(route.name, shadow.model, len(rows), standing, seen)
        if route.final:
            self._end(rows)
        return rows

    def _divide(self, route: PlannedRoute, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`rows` in those for the canary and the others."""
        if route.canary is None or self._variant == "primary":
            return rows[:0], rows
        share = 1.0 if self._variant == "canary" else route.canary_share
        if share <= 0:
            return rows[:0], rows
        if share >= 1:
            return rows, rows[:0]
        if len(rows) == 1:
            inside = self.keys.place(route.salt, rows[0]) < share
            return (rows, rows[:0]) if inside else (rows[:0], rows)
        taken = self.keys.places(route.salt, rows) < share
        return rows[taken], rows[~taken]

    def _send(self, route: PlannedRoute, rows: np.ndarray) -> Sequence[tuple[Entry, np.ndarray]]:
        """Push the route's own source for `rows`, by share where it is a split."""
        if not len(rows) or not route.primary:
            return ()
        if len(route.primary) == 1:
            return ((self.stack.push(route.primary[0], rows), rows),)
        share = np.searchsorted(route.starts, self.keys.places(route.salt, rows), side="right")
        parts = [(source, rows[share == number]) for number, source in enumerate(route.primary)]
        return [(self.stack.push(source, part), part) for source, part in parts if len(part)]

    def _end(self, rows: np.ndarray) -> None:
        if self._ended is None:
            self._ended = np.zeros(self.n, np.bool_)
        self._ended[rows] = True

    # -- the end

    def fall_back(self, fallback: Source) -> None:
        """Send the rows that no route answered to the endpoint's fallback."""
        bare = self.stack.top < 0
        if self._doomed:
            bare[list(self._doomed)] = False
        rows = bare.nonzero()[0]
        if len(rows):
            self.stack.push(fallback, rows)

    def result(self) -> CascadeResult:
        """The answer; every row must be settled."""
        failed: dict[int, RowFailure] = {}
        parts = self._parts()
        if len(parts) != 1 or len(parts[0].rows) != self.n:
            failed = {row: self._failure(row) for row in (self.stack.known < 0).nonzero()[0].tolist()}
        heard = Heard(self._voices.values(), 0, self.n) if len(self._voices) > 1 else None
        answer = build_answer(self.n, parts, failed, self._degraded, self._table.rules_hash, heard)
        shadows, skipped = self._comparisons.calls(self._voices, self._joined)
        return CascadeResult(answer, shadows, skipped)

    def _failure(self, row: int) -> RowFailure:
        failure = self._doomed.get(row) or self._causes.get(row)
        if failure is not None:
            return failure
        endpoint = self._table.endpoint
        return RowFailure(
            endpoint, "raised", f"no route of '{endpoint}' answered this row, and there is no fallback"
        )

    def _parts(self) -> Sequence[Part]:
        """Who has answered which rows so far."""
        parts: list[Part] = []
        for entry, rows in self.stack.answered():
            models = entry.source.models
            voice = self._voices[models[0]] if len(models) == 1 else self._joined[entry.number]
            parts += [Part(entry.source, chunk, some) for chunk, some in voice.parts(rows)]
        return parts
