"""Rows to an endpoint of the mesh, and its answers back as columns."""

import asyncio
import time
from collections.abc import Mapping
from typing import Final

import numpy as np

from ingest.backoff import Backoff
from ingest.stages.rows import Rows
from ingest.worker import StreamEngine
from mesh.errors import DeadlineExceeded, MeshError, Unavailable
from mesh.pipeline.plan import Level, StagePlan
from mesh.routing.types import MISSING, Answer, Batch, Signature
from mesh.tracing.journey import current

_BACKOFF_S: Final = (0.05, 1.0)


class LeftOut(Exception):
    """A stage that may be left out was; the message says why."""


class Score:
    """Asks the engine. Holds no state."""

    def __init__(self, plan: StagePlan, engine: StreamEngine, features: tuple[str, ...]) -> None:
        """`features` are the names of the columns that rules may read beside the rows' own, one of each S·F."""
        self._plan, self._engine = plan, engine
        self._places = {name: at for at, name in enumerate(features)}

    async def step(self, rows: Rows, level: Level, deadline: float) -> Rows:
        """The rows with the answer's columns; as they are where nobody is asked at this level.

        `deadline` is a monotonic time. A required stage goes on after it, for as long as the mesh needs to answer.

        Raises:
            LeftOut: the mesh does not answer in time, or says no, and the stage is not required.
        """
        endpoint = self._plan.endpoint_at(level)
        if endpoint is None or not len(rows):
            return rows
        backoff, attempts = Backoff(*_BACKOFF_S), 0
        while True:
            try:
                answer = await self._ask(endpoint, rows, None if self._plan.required else deadline)
                return rows.also(columns_of(answer), answer.voices)
            except (Unavailable, DeadlineExceeded) as error:
                attempts += 1
                wait = backoff.delay(getattr(error, "retry_after_s", None) or 0.0)
                over = attempts > self._plan.retries or time.monotonic() + wait >= deadline
                if over and not self._plan.required:
                    raise LeftOut(f"{endpoint}: {error}") from error
            except MeshError as error:
                if self._plan.required:
                    raise
                raise LeftOut(f"{endpoint}: {error}") from error
            await asyncio.sleep(wait)

    async def _ask(self, endpoint: str, rows: Rows, deadline: float | None) -> Answer:
        """Rows that failed in passing count as no answer; where some were answered, a stage that can do without has enough."""
        signature = self._engine.signature(endpoint)
        if signature is None:
            raise Unavailable(endpoint, "no replica has said what it takes", retry_after_s=0.1)
        batch = Batch(
            {signature.inputs[0].name: _tensor(signature, rows)},
            rows.ids,
            rows.assets,
            self._attributes(rows, self._engine.attributes_read(endpoint)),
        )
        answer = await self._engine.infer(endpoint, batch, deadline=deadline)
        journey = current()
        if journey is not None:
            journey.answered(answer)
        failure = next((each for each in answer.failed.values() if each.kind != "raised"), None)
        if failure is not None and (self._plan.required or len(answer.failed) == len(rows)):
            reason = f"{failure.kind}: {failure.reason}"
            raise Unavailable(failure.model, reason, failure.retry_after_s or 0.0)
        return answer

    def _attributes(self, rows: Rows, names: frozenset[str]) -> Mapping[str, list[object]]:
        known: dict[str, list[object]] = {}
        for name in names:
            if name == "asset":
                known[name] = list(rows.assets)
            elif name in rows.columns:
                known[name] = rows.columns[name].tolist()
            elif name in self._places:
                flat = rows.flat
                known[name] = flat[:, self._places[name]].tolist()
            else:
                known[name] = [MISSING] * len(rows)
        return known


def columns_of(answer: Answer) -> dict[str, np.ndarray]:
    """Outputs of one value a row under their own names, wider ones as `name.0`, `name.1`; confidence where there is one.

    Rows that failed hold NaN. `model` and `version` say who answered.
    """
    columns: dict[str, np.ndarray] = {}
    outputs = dict(answer.outputs)
    if answer.confidence is not None:
        outputs["confidence"] = answer.confidence
    for name, values in outputs.items():
        flat = values.reshape(len(values), -1)
        for at in range(flat.shape[1]):
            columns[name if flat.shape[1] == 1 else f"{name}.{at}"] = _without(flat[:, at], answer.failed)
    columns["degraded"] = answer.degraded
    return columns | _origins(answer)


def _origins(answer: Answer) -> dict[str, np.ndarray]:
    """`model` and `version`, text [M]: who answered each row, for rules and reviews. Empty for a failed row."""
    if not answer.origins:
        return {}
    names = np.array([*((one.model, one.version) for one in answer.origins), ("", "")], np.object_)
    of_row = names[answer.origin_of]  # -1, a failed row, is the last
    return {"model": of_row[:, 0], "version": of_row[:, 1]}


def _without(values: np.ndarray, failed: Mapping[int, object]) -> np.ndarray:
    if not failed or values.dtype.kind not in "fiu":
        return values
    kept = values.astype(np.float64)
    kept[list(failed)] = np.nan
    return kept


def _tensor(signature: Signature, rows: Rows) -> np.ndarray:
    wanted = signature.inputs[0]
    dtype = np.float32 if wanted.datatype == "FP32" else np.float64
    flat = rows.flat.astype(dtype)
    return flat.reshape(rows.features.shape) if len(wanted.shape) == 3 else flat
