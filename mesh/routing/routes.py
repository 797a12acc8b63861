"""Routes as data: what a route may say."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from mesh.routing.when import When

Combine = Literal["mean", "max", "min", "median", "vote", "first"]
OnError = Literal["next", "fallback", "fail"]

COMBINES: Final[tuple[str, ...]] = get_args(Combine)
ON_ERRORS: Final[tuple[str, ...]] = get_args(OnError)
FALLBACK_ROUTE: Final = "fallback"
"""The route that an endpoint's `fallback` answers under; no route of a table may have this name."""


@dataclass(frozen=True, slots=True)
class Canary:
    """A model on trial and its share of the route's rows, percent by sticky key."""

    model: str
    percent: float


@dataclass(frozen=True, slots=True)
class ShadowRule:
    """A model that is only compared, and the percent of the route's rows that it sees, by sticky key."""

    model: str
    percent: float = 100.0


@dataclass(frozen=True, slots=True)
class Split:
    """A/B by sticky key: (model, percent) in order; the percents sum to 100."""

    shares: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Route:
    """One route.

    Its rows are answered by `send` (several models by `combine`, default mean) or by `split`, or keep the
    answer so far where it has neither; `canary` takes its share of them, `shadow` models see them too.
    """

    name: str
    when: When
    send: tuple[str, ...] = ()
    combine: Combine | None = None
    split: Split | None = None
    canary: Canary | None = None
    shadow: tuple[ShadowRule, ...] = ()
    final: bool = False
    on_error: OnError = "next"

    @property
    def answering(self) -> tuple[str, ...]:
        """The models that may answer its rows, in the order written."""
        shares = tuple(model for model, _ in self.split.shares) if self.split else ()
        return (*self.send, *shares, *((self.canary.model,) if self.canary else ()))
