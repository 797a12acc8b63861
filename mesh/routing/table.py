"""Route tables: which models answer an endpoint, in which order, for which rows.

A table is data; `checks.find_problems` says whether it makes sense, `cascade.cascade` runs it. Building one
never fails, so that every problem of a file can be reported at once.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256

from mesh.routing.facts import LabelKind, LabelRule, ModelFacts
from mesh.routing.plan import Plan, plan_of
from mesh.routing.routes import (
    COMBINES,
    FALLBACK_ROUTE,
    ON_ERRORS,
    Canary,
    Combine,
    OnError,
    Route,
    ShadowRule,
    Split,
)
from mesh.routing.when import ANSWER_NAMES


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
    def plan(self) -> Plan:
        """The routes made ready to run."""
        return plan_of(self.endpoint, self.routes, self.fallback)

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

    @cached_property
    def has_shadows(self) -> bool:
        """True where a route compares a model."""
        return any(route.shadow for route in self.routes)

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
