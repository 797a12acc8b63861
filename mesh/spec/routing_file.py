"""`routing.yaml`: which model answers which row. `docs/configuration.md` explains every key."""

from collections.abc import Iterable
from typing import Annotated, Final, Self

from pydantic import BeforeValidator, Field, model_validator

from mesh.routing.problems import KeyPath
from mesh.routing.table import Canary, Combine, OnError, Route, RouteTable, ShadowRule, Split
from mesh.routing.when import When
from mesh.spec.fields import Flag, Name, Percent, Positive, Several, Strict, Text

DEFAULT_ENDPOINT: Final = "default"
"""The name of the endpoint that bare `routes:` define."""


class CanaryEntry(Strict):
    """A share of the rows that another model answers, by sticky key."""

    model: Text
    """The model on trial."""
    percent: Percent
    """Its share of the route's rows, 0 to 100."""


class ShadowEntry(Strict):
    """A model that scores the same rows and is only compared."""

    model: Text
    """The model to compare."""
    percent: Percent = 100.0
    """The share of the route's rows that it sees, by sticky key, 0 to 100."""


def _shadow_mapping(value: object) -> object:
    """`shadow: [m]` is short for `shadow: [{model: m}]`."""
    return {"model": value} if isinstance(value, str) else value


Shadow = Annotated[ShadowEntry, BeforeValidator(_shadow_mapping, json_schema_input_type=str | ShadowEntry)]


class RouteEntry(Strict):
    """One route: the rows it applies to and who answers them."""

    name: Name
    """Names the route in answers, metrics and the sticky hash; unique in its endpoint."""
    when: Text
    """The rows it applies to, an expression over attributes and the answer so far."""
    send: Several[Text] | None = None
    """The models that score those rows, concurrently."""
    combine: Combine | None = None
    """How the answers of several models in `send` become one; `mean` where it is not given."""
    split: dict[Text, Percent] | None = None
    """A/B by sticky key instead of `send`: percent for each model, summing to 100."""
    canary: CanaryEntry | None = None
    """A share of the rows that is answered by another model instead."""
    shadow: tuple[Shadow, ...] = ()
    """Models that score the same rows and are only compared."""
    final: Flag = False
    """End the cascade for the rows of this route."""
    on_error: OnError = "next"
    """What a failed row takes: the answer so far, the endpoint's fallback, or failure."""

    def route(self, when: When) -> Route:
        """The same, for the rest of the mesh, with its compiled condition."""
        return Route(
            name=self.name,
            when=when,
            send=self.send or (),
            combine=self.combine,
            split=Split(tuple(self.split.items())) if self.split is not None else None,
            canary=Canary(self.canary.model, self.canary.percent) if self.canary else None,
            shadow=tuple(ShadowRule(shadow.model, shadow.percent) for shadow in self.shadow),
            final=self.final,
            on_error=self.on_error,
        )


Routes = Several[RouteEntry]


class EndpointEntry(Strict):
    """A route table under a name that clients address."""

    routes: Routes
    """The routes, run from top to bottom for each row."""
    key: Text | None = None
    """The attribute (dotted name) that is the sticky key; the row's id where it is not given."""
    deadline_ms: Positive | None = None
    """Time for a request that brings no deadline of its own."""
    fallback: Text | None = None
    """The model that answers rows for which no route has an answer."""
    variants_allowed: Flag = False
    """Honour the header or metadata `x-mesh-variant: canary` or `primary`."""

    def table(self, endpoint: str, whens: Iterable[When]) -> RouteTable:
        """The same, for the rest of the mesh; `whens` are the routes' compiled conditions."""
        return RouteTable(
            endpoint=endpoint,
            routes=tuple(route.route(when) for route, when in zip(self.routes, whens, strict=True)),
            key=self.key,
            deadline_ms=self.deadline_ms,
            fallback=self.fallback,
            variants_allowed=self.variants_allowed,
        )


class RoutingFile(Strict):
    """The whole file. Bare `routes`, with `key` and the like beside them, are the endpoint `default`."""

    routes: Routes | None = None
    """The routes of the endpoint `default`."""
    key: Text | None = None
    """As in an endpoint; for `routes`."""
    deadline_ms: Positive | None = None
    """As in an endpoint; for `routes`."""
    fallback: Text | None = None
    """As in an endpoint; for `routes`."""
    variants_allowed: Flag = False
    """As in an endpoint; for `routes`."""
    endpoints: dict[Name, EndpointEntry] = Field(default_factory=dict)
    """More endpoints, by name."""

    @model_validator(mode="after")
    def _beside_routes(self) -> Self:
        if self.routes is None:
            lost = sorted(self.model_fields_set & {"key", "deadline_ms", "fallback", "variants_allowed"})
            if lost:
                raise ValueError(f"{', '.join(lost)}: belongs to bare routes, and there are none")
        return self

    def tables(self) -> list[tuple[KeyPath, str, EndpointEntry]]:
        """Every endpoint: where it stands in the file, its name and its content."""
        named = [(("endpoints", name), name, entry) for name, entry in self.endpoints.items()]
        if self.routes is None:
            return [*named]
        bare = EndpointEntry.model_construct(
            routes=self.routes,
            key=self.key,
            deadline_ms=self.deadline_ms,
            fallback=self.fallback,
            variants_allowed=self.variants_allowed,
        )
        return [((), DEFAULT_ENDPOINT, bare), *named]
