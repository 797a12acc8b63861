"""Routes made ready to run: salts, shares and sources worked out once per table."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mesh.routing.routes import FALLBACK_ROUTE, Combine, OnError, Route
from mesh.routing.types import Role
from mesh.routing.when import When


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Where a row's answer may come from: these models together, under this route and role."""

    models: tuple[str, ...]
    combine: Combine
    route: str
    role: Role
    on_error: OnError
    instead: "Source | None" = None
    """What takes a failed row with `on_error: fallback`."""


@dataclass(frozen=True, slots=True, eq=False)
class PlannedShadow:
    """A shadow model and its `share` (0 to 1) of the route's rows, drawn under `salt`."""

    model: str
    share: float
    salt: str


@dataclass(frozen=True, slots=True, eq=False)
class PlannedRoute:
    """One route; `primary` holds one source, none, or one for each share of a split.

    `starts` are where in [0, 1) the shares of a split after the first begin. `canary_share` is 0 to 1.
    """

    name: str
    when: When
    salt: str
    primary: tuple[Source, ...]
    starts: np.ndarray
    canary: Source | None
    canary_share: float
    shadows: tuple[PlannedShadow, ...]
    final: bool


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """All routes, and the source for rows that none of them answered."""

    routes: tuple[PlannedRoute, ...]
    fallback: Source | None


def plan_of(endpoint: str, routes: Sequence[Route], fallback: str | None) -> Plan:
    """The plan of an endpoint's routes. Salts are `endpoint/route`, and `endpoint/route/shadow/model`."""
    return Plan(
        tuple(_planned(endpoint, route, fallback) for route in routes),
        None if fallback is None else Source((fallback,), "first", FALLBACK_ROUTE, "fallback", "next"),
    )


def _planned(endpoint: str, route: Route, fallback: str | None) -> PlannedRoute:
    instead = None
    if route.on_error == "fallback" and fallback is not None:
        instead = Source((fallback,), "first", route.name, "fallback", "next")

    def source(models: tuple[str, ...], role: Role) -> Source:
        distinct = tuple(dict.fromkeys(models))
        return Source(distinct, route.combine or "mean", route.name, role, route.on_error, instead)

    salt = f"{endpoint}/{route.name}"
    shares = route.split.shares if route.split else ()
    primary = tuple(source((model,), "primary") for model, _ in shares)
    if route.send:
        primary = (source(route.send, "primary"),)
    return PlannedRoute(
        name=route.name,
        when=route.when,
        salt=salt,
        primary=primary,
        starts=np.cumsum([percent for _, percent in shares])[:-1] / 100,
        canary=source((route.canary.model,), "canary") if route.canary else None,
        canary_share=route.canary.percent / 100 if route.canary else 0.0,
        shadows=tuple(
            PlannedShadow(shadow.model, shadow.percent / 100, f"{salt}/shadow/{shadow.model}")
            for shadow in route.shadow
        ),
        final=route.final,
    )
