"""The schema: what can be asked, and what of the mesh answers it."""

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, TypeVar, cast

import strawberry
from graphql import GraphQLError
from strawberry.extensions import MaskErrors, MaxAliasesLimiter, MaxTokensLimiter, QueryDepthLimiter
from strawberry.types import ExecutionContext, ExecutionResult, Info
from strawberry.types.graphql import OperationType

from mesh.errors import MeshError
from serve.graphql.alert_feed import AlertFeed, Wanted
from serve.graphql.executor import EventExecutor
from serve.graphql.feed import PredictionFeed
from serve.graphql.limits import Limits
from serve.graphql.refusals import graphql_error
from serve.graphql.status import StreamStatus
from serve.graphql.types import (
    MLStreamingPrediction,
    MLStreamingStatus,
    StreamAlert,
    alert_of,
    prediction_of,
    status_of,
)

logger = logging.getLogger("ray.serve")

ModelId = Annotated[str, strawberry.argument(description="An endpoint: a hosted model or a route table")]


Resolver = TypeVar("Resolver", bound=Callable[..., Any])


def _field(description: str) -> Callable[[Resolver], Resolver]:
    """Strawberry's decorator, whose type says nothing."""
    return cast("Callable[[Resolver], Resolver]", strawberry.field(description=description))


def _subscription(description: str) -> Callable[[Resolver], Resolver]:
    return cast("Callable[[Resolver], Resolver]", strawberry.subscription(description=description))


@dataclass(frozen=True, slots=True)
class Reading:
    """What operations read; the context of each holds it under `reading`."""

    predictions: PredictionFeed
    alerts: AlertFeed
    status: StreamStatus


@strawberry.enum(name="AlertSeverity")
class SeverityName(Enum):
    """The severities of alerts."""

    info = "info"
    warning = "warning"
    critical = "critical"


@strawberry.type
class Query:
    """What is so now."""

    @_field(description="Is the stream of one endpoint alive, and how does it do?")
    async def ml_streaming_status(self, info: Info[Any, None], model_id: ModelId) -> MLStreamingStatus:
        """Never fails for want of Redis: then `connected` is false."""
        try:
            return status_of(model_id, await _reading(info).status.state(model_id))
        except MeshError as error:
            raise graphql_error(error) from error


@strawberry.type
class Subscription:
    """What comes."""

    @_subscription(
        description="Predictions of one endpoint in the order of the log, from now on or after `after`."
    )
    async def ml_inference_stream(
        self,
        info: Info[Any, None],
        model_id: ModelId,
        after: Annotated[
            strawberry.ID | None,
            strawberry.argument(
                description="A `cursor`, or an `inferenceId`: go on after it. `0-0` is the beginning"
            ),
        ] = None,
    ) -> AsyncGenerator[MLStreamingPrediction, None]:
        """At least once: a record that ingest read again comes again, with the same `inferenceId`."""
        reading = _reading(info)
        try:
            await reading.status.admit(model_id)
            async with aclosing(reading.predictions.follow(model_id, after)) as stream:
                async for placed in stream:
                    yield prediction_of(placed)
        except MeshError as error:
            raise graphql_error(error) from error

    @_subscription(description="Alerts as they change, from now on; what was before is at GET /alerts.")
    async def alerts(
        self,
        info: Info[Any, None],
        severity: SeverityName | None = None,
        asset: str | None = None,
        rule: str | None = None,
    ) -> AsyncGenerator[StreamAlert, None]:
        """At most once: it ends with an error where changes may have been missed."""
        wanted = Wanted(None if severity is None else severity.value, asset, rule)
        try:
            async with aclosing(_reading(info).alerts.follow(wanted)) as stream:
                async for changed in stream:
                    yield alert_of(changed)
        except MeshError as error:
            raise graphql_error(error) from error


class MeshSchema(strawberry.Schema):
    """Says in the log what went wrong here, and not what clients got wrong; subscriptions need a WebSocket."""

    async def execute(self, *args: Any, **kwargs: Any) -> ExecutionResult:
        """Part of `strawberry.Schema`: what comes over plain HTTP."""
        return await super().execute(*args, **{**kwargs, "allowed_operation_types": {OperationType.QUERY}})

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Part of `strawberry.Schema`."""
        unexpected = [one for one in errors if _unexpected(one)]
        if unexpected:
            super().process_errors(unexpected, execution_context)


def build_schema(limits: Limits) -> MeshSchema:
    """The schema with its limits on documents."""
    return MeshSchema(
        Query,
        subscription=Subscription,
        execution_context_class=EventExecutor,
        extensions=[
            lambda: MaxTokensLimiter(max_token_count=limits.document_tokens),
            lambda: MaxAliasesLimiter(max_alias_count=limits.aliases),
            lambda: QueryDepthLimiter(max_depth=limits.document_depth),
            lambda: MaskErrors(_unexpected, "internal error; the server's log says more"),
        ],
    )


def _unexpected(error: GraphQLError) -> bool:
    """Neither GraphQL's own word about a document nor an error of the mesh."""
    cause = error.original_error
    return cause is not None and not isinstance(cause, GraphQLError)


def _reading(info: Info[Any, None]) -> Reading:
    found: Reading = info.context["reading"]
    return found
