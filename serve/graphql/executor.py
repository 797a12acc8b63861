"""graphql-core's executor of one operation, without what grows for as long as a subscription lives."""

from typing import Any, Final

from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

_MEMORIES: Final = (
    "_relevant_sub_fields",
    "_stream_usages",
    "_initial_execution_plans",
    "_deferred_execution_plans",
)


class EventExecutor(StrawberryGraphQLCoreExecutionContext):
    """Gives each event of a subscription memories of its own.

    graphql-core 3.3 remembers collected fields by the identity of lists that it makes anew for every event, in one dictionary
    for the whole subscription. Some 18 objects an event stayed until its end, and looking for garbage among them stopped the
    process for half a second at a time.
    """

    def build_per_event_executor(self, payload: Any) -> Any:
        """Part of `graphql.execution.Executor`."""
        executor = super().build_per_event_executor(payload)
        for name in _MEMORIES:
            setattr(executor, name, type(getattr(executor, name))())
        return executor
