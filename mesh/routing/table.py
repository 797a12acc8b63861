"""Route tables: which models answer an endpoint, in which order, for which rows.

A table is data; `checks.find_problems` says whether it makes sense, `cascade.cascade` runs it. Building one
never fails, so that every problem of a file can be reported at once.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Final, Literal, get_args

from mesh.routing.facts import LabelKind, LabelRule, ModelFacts
from mesh.routing.when import ANSWER_NAMES, When

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


@dataclass(frozen=True)
class RouteTable:
    """The routes of one endpoint, top to bottom.

    `key` is the attribute (dotted name) that is the sticky key, else the row's id is. `fallback` is the model
    for rows that no route answered. `deadline_ms` is the time of a request that brings none.
    `variants_allowed` honours a caller's wish for the canary or the primary.
    """

    endpoint: str
    routes: tuple[Route, ...]
    key: str | None = None
    deadline_ms: float | None = None
    fallback: str | None = None
    variants_allowed: bool = False
    rules_hash: str = field(init=False, default="")

    def __post_init__(self) -> None:
        content = json.dumps(
            _content(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str
        )
        digest = sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
        object.__setattr__(self, "rules_hash", digest[:12])

    @cached_property
    def models(self) -> frozenset[str]:
        """Every model that may answer the endpoint or shadow it."""
        return frozenset(model for model, _ in models_with_paths(self))

    @cached_property
    def answering(self) -> tuple[str, ...]:
        """The models that may answer, each once, in the order written; the fallback last."""
        fallback = (self.fallback,) if self.fallback is not None else ()
        return tuple(
            dict.fromkeys([*(model for route in self.routes for model in route.answering), *fallback])
        )

    @property
    def first_model(self) -> str:
        """The model whose inputs and outputs are the endpoint's; `ValueError` for a table without any."""
        if not self.answering:
            raise ValueError(f"endpoint '{self.endpoint}' has no model that answers")
        return self.answering[0]

    @cached_property
    def attributes_read(self) -> frozenset[str]:
        """The attributes (dotted names) that the rules read, the sticky key among them."""
        read: frozenset[str] = frozenset().union(*(route.when.reads for route in self.routes)) - ANSWER_NAMES
        return read if self.key is None else read | {self.key}


def models_with_paths(table: RouteTable) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """Every model that the table names and where, as a path of keys into the endpoint's content."""
    for index, route in enumerate(table.routes):
        at = ("routes", index)
        for place, model in enumerate(route.send):
            yield model, (*at, "send", place)
        for model, _ in route.split.shares if route.split else ():
            yield model, (*at, "split", model)
        if route.canary is not None:
            yield route.canary.model, (*at, "canary", "model")
        for place, shadow in enumerate(route.shadow):
            yield shadow.model, (*at, "shadow", place)
    if table.fallback is not None:
        yield table.fallback, ("fallback",)


def _content(table: RouteTable) -> dict[str, object]:
    """All that decides an answer, as plain values."""
    return {
        "endpoint": table.endpoint,
        "key": table.key,
        "deadline_ms": table.deadline_ms,
        "fallback": table.fallback,
        "variants_allowed": table.variants_allowed,
        "routes": [
            {
                "name": route.name,
                "when": route.when.text,
                "send": route.send,
                "combine": route.combine,
                "split": route.split.shares if route.split else None,
                "canary": (route.canary.model, route.canary.percent) if route.canary else None,
                "shadow": [(shadow.model, shadow.percent) for shadow in route.shadow],
                "final": route.final,
                "on_error": route.on_error,
            }
            for route in table.routes
        ],
    }


__all__ = [
    "COMBINES",
    "FALLBACK_ROUTE",
    "ON_ERRORS",
    "Canary",
    "Combine",
    "LabelKind",
    "LabelRule",
    "ModelFacts",
    "OnError",
    "Route",
    "RouteTable",
    "ShadowRule",
    "Split",
    "models_with_paths",
]
