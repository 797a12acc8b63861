"""A random audit of known probability: some rows, with an alert or without, that people judge without seeing the score. Pure.

Poisson sampling (C.-E. Särndal, B. Swensson, J. Wretman, "Model assisted survey sampling", 1992, 3.5): each row is drawn by
itself with its own probability, which is stored with it. The draw is a hash of the row's id, so a row that is read again is drawn
again, on any replica. Flagged and unflagged rows are two strata: flagged ones are rare and needed to know the false alarms.

The probabilities follow the traffic, so that the audit is `share` of what people are asked; they depend on rows before this one
alone, which is what keeps weighted estimates unbiased.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import numpy as np

HOUR_MS: Final = 3_600_000
_SCALE: Final = 2.0**64


@dataclass(frozen=True, slots=True)
class AuditPlan:
    """How much is drawn.

    `share` of all items, `least_per_hour` items where few others come; `flagged` is the part of them among flagged rows.
    `twice` is the share of items of any source that two people judge. `floor` bounds weights to 1/floor. `half_life_ms` is how
    fast the estimate of traffic forgets.
    """

    share: float = 0.08
    least_per_hour: float = 2.0
    flagged: float = 0.5
    twice: float = 0.08
    floor: float = 1e-6
    half_life_ms: int = HOUR_MS
    salt: str = "review-1"

    def __post_init__(self) -> None:
        """Raises `ValueError` naming what is out of its range."""
        for name in ("share", "flagged", "twice"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} is not in [0, 1)")
        if not 0 < self.floor <= 1:
            raise ValueError(f"floor: {self.floor} is not in (0, 1]")


def place(salt: str, subject: str) -> float:
    """Where a subject falls in [0, 1): uniform, and always the same."""
    return int.from_bytes(blake2b(f"{salt}\0{subject}".encode(), digest_size=8).digest()) / _SCALE


def asked_twice(plan: AuditPlan, subject: str) -> bool:
    """Whether two people judge it."""
    return place(f"{plan.salt}/twice", subject) < plan.twice


class Decayed:
    """A count that halves every half-life, and the rate that it stands for."""

    def __init__(self, half_life_ms: int) -> None:
        self._decay = math.log(2) / half_life_ms
        self._count, self._age, self._at = 0.0, 0.0, 0

    def add(self, count: float, now: int) -> None:
        """So many more at `now` (milliseconds; an earlier time counts as the latest seen)."""
        if self._at and now > self._at:
            kept = math.exp(-self._decay * (now - self._at))
            self._count *= kept
            self._age = self._age * kept + (1 - kept) / self._decay
        self._at = max(self._at, now)
        self._count += count

    @property
    def per_ms(self) -> float:
        """The rate; 0 before any time has passed."""
        return self._count / self._age if self._age else 0.0


@dataclass(frozen=True, slots=True)
class Drawn:
    """The position of a row of the audit, and the probability that it had."""

    row: int
    inclusion: float


class AuditSampler:
    """Draws rows. Holds rates, and the last rows drawn so that a repeat is not offered twice."""

    def __init__(self, plan: AuditPlan, remembered: int = 10_000) -> None:
        self.plan = plan
        self._rows = {True: Decayed(plan.half_life_ms), False: Decayed(plan.half_life_ms)}
        self._items = Decayed(plan.half_life_ms)
        self._seen: set[str] = set()
        self._order: deque[str] = deque()
        self._remembered = remembered

    def asked(self, items: int, now: int) -> None:
        """So many items that chance did not draw were made."""
        self._items.add(items, now)

    def probability(self, *, flagged: bool) -> float:
        """That with which the next such row is drawn."""
        plan = self.plan
        wanted = max(
            plan.least_per_hour / HOUR_MS,
            plan.share / (1 - plan.share) * self._items.per_ms,
        ) * (plan.flagged if flagged else 1 - plan.flagged)
        rate = self._rows[flagged].per_ms
        return min(1.0, max(plan.floor, wanted / rate)) if rate else plan.floor

    def draw_at(
        self, places: np.ndarray, flagged: np.ndarray, named: Callable[[int], str], now: int
    ) -> list[Drawn]:
        """As `draw`, for rows whose `places`, float64 [N] in [0, 1), are known; `named` gives the subject of one of them.

        Costs a row nothing but its part of a few passes over arrays: for streams in which hardly any is drawn.
        """
        inclusion = {kind: self.probability(flagged=kind) for kind in (True, False)}
        hits = int(np.count_nonzero(flagged))
        self._rows[True].add(hits, now)
        self._rows[False].add(len(places) - hits, now)
        drawn = []
        for row in np.flatnonzero(places < max(inclusion.values())).tolist():
            chance, subject = inclusion[bool(flagged[row])], named(row)
            if places[row] < chance and subject not in self._seen:
                self._remember(subject)
                drawn.append(Drawn(row, chance))
        return drawn

    def draw(self, subjects: Sequence[str], flagged: np.ndarray, now: int) -> list[Drawn]:
        """Look at N rows, `flagged` bool [N]; the probabilities are settled before these rows count."""
        inclusion = {kind: self.probability(flagged=kind) for kind in (True, False)}
        hits = int(flagged.sum())
        self._rows[True].add(hits, now)
        self._rows[False].add(len(subjects) - hits, now)
        drawn = []
        for row, (subject, kind) in enumerate(zip(subjects, flagged.tolist(), strict=True)):
            if place(self.plan.salt, subject) < inclusion[kind] and subject not in self._seen:
                self._remember(subject)
                drawn.append(Drawn(row, inclusion[kind]))
        return drawn

    def _remember(self, subject: str) -> None:
        self._seen.add(subject)
        self._order.append(subject)
        if len(self._order) > self._remembered:
            self._seen.discard(self._order.popleft())
