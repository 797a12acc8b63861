"""The cascade: rows go through the routes of a table, models are asked only for answers that something reads.

Sans-IO: a generator that yields the calls it wants and is sent their results. It makes no call, keeps no clock and
draws no random number, so the engine, tests, replay and `explain` come to the same decisions.
"""

from collections.abc import Generator, Mapping, Sequence

import numpy as np

from mesh.routing.facts import ModelFacts
from mesh.routing.progress import Progress
from mesh.routing.steps import CascadeResult, ModelCall, ShadowCall, Step
from mesh.routing.table import RouteTable
from mesh.routing.types import Batch, CallResult, Variant

Steps = Generator[Step, Sequence[CallResult], None]


def cascade(
    table: RouteTable, facts: Mapping[str, ModelFacts], batch: Batch, variant: Variant | None = None
) -> Generator[Step, Sequence[CallResult], CascadeResult]:
    """Route `batch` through `table`.

    Yields `Step`s; send each call's result back, in order: `Scored`, or `Unreachable` where the model did not answer,
    which a driver also sends for a call that cannot be made in time. No model is asked twice about a row. The same rows
    get the same answers alone, together and in any order.
    """
    progress = Progress(table, facts, batch, variant)
    for route in table.plan.routes:
        if route.when.reads_answer and progress.stack.open:
            yield from settle(progress, progress.needed(route))
        progress.apply(route)
    yield from settle(progress, None)
    if table.plan.fallback is not None:
        progress.fall_back(table.plan.fallback)
        yield from settle(progress, None)
    return progress.result()


def settle(progress: Progress, needed: np.ndarray | None) -> Steps:
    """The steps after which the answers of the `needed` rows (bool [n], None for all) are known."""
    while calls := progress.ask(needed):
        progress.hear((yield Step(calls)))


__all__ = ["CascadeResult", "ModelCall", "ShadowCall", "Step", "cascade", "settle"]
