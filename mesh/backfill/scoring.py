"""One batch of old rows through a model, and what it said as a table."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from mesh.backfill.columns import FAILED
from mesh.errors import InvalidInput
from mesh.routing.datatypes import NUMPY_OF
from mesh.routing.types import Scored, Signature, TensorSpec
from mesh.runtimes import open_runtime
from mesh.runtimes.base import Artifact
from mesh.runtimes.scorer import Scorer
from mesh.stores.delta_table import times
from mesh.stores.rows import FeatureBatch
from mesh.stores.views import DAY_MS


class RowScorer:
    """Opens the model once and scores batches of a view's rows. Not thread-safe."""

    def __init__(self, artifact: Artifact, columns: Sequence[int]) -> None:
        """`columns` are places in the view's rows. `ArtifactError` as `open_runtime`, `InvalidInput` as `check_width`."""
        self._artifact, self._columns = artifact, np.array(columns, np.int64)
        self._scorer = Scorer(open_runtime(artifact), artifact)
        check_width(artifact.name, self._scorer.signature, len(self._columns))

    def score(self, batch: FeatureBatch) -> pa.Table:
        """Entity, times, model and version, then each output (wider ones as `name.0`, `name.1`), confidence and `failed`.

        Where every row failed, outputs of open width are left out: nothing says how many columns they are.
        """
        wanted = self._scorer.signature.inputs[0]
        values, unfit = converted(batch.values[:, self._columns], NUMPY_OF[wanted.datatype])
        scored = self._scorer.score({wanted.name: values})
        if unfit.any():
            reason = f"InvalidInput: a value is missing or does not fit {wanted.datatype}"
            failed = {**scored.failed, **dict.fromkeys(map(int, np.flatnonzero(unfit)), reason)}
            scored = replace(scored, failed=failed)
        rows = len(batch)
        fixed = {
            "entity": pa.array(batch.entities, pa.string()),
            "event_time": times(batch.event_time),
            "day": pa.array((batch.event_time // DAY_MS).astype(np.int32)).cast(pa.date32()),
            "model": pa.repeat(pa.scalar(self._artifact.name), rows),
            "version": pa.repeat(pa.scalar(self._artifact.version), rows),
        }
        reasons = [scored.failed.get(row) for row in range(rows)] if scored.failed else [None] * rows
        return pa.table(
            {
                **fixed,
                **_outputs(self._scorer.signature, scored, rows),
                FAILED: pa.array(reasons, pa.string()),
            }
        )

    def close(self) -> None:
        """Free what the model holds."""
        self._scorer.close()


def converted(values: np.ndarray, kind: np.dtype[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Rows (float64, NaN where a value is missing) as a model's dtype, and which rows (bool) it does not hold.

    Those have zeros. A float holds all; a whole number no fraction, nothing missing and nothing out of its range.
    """
    if kind.kind in "fO":
        return values.astype(kind), np.zeros(len(values), np.bool_)
    low, high = (0, 1) if kind.kind == "b" else (np.iinfo(kind).min, np.iinfo(kind).max)
    with np.errstate(invalid="ignore"):
        held = (values == np.rint(values)) & (values >= low) & (values < float(high) + 1)
    unfit = ~held.all(axis=1)
    return np.where(unfit[:, None], 0, values).astype(kind), unfit


def check_width(model: str, signature: Signature, columns: int) -> None:
    """`InvalidInput` where the model does not take one matrix of so many columns."""
    if len(signature.inputs) != 1 or len(signature.inputs[0].shape) != 2:
        shapes = ", ".join(f"{one.name} {list(one.shape)}" for one in signature.inputs)
        raise InvalidInput(
            "--model", f"'{model}' takes {shapes}: only models of one matrix [-1, N] are backfilled"
        )
    width = signature.inputs[0].shape[1]
    if width not in (-1, columns):
        raise InvalidInput(
            "--columns",
            f"are {columns}, and '{model}' takes {width}: name the {width} columns of the view, a,b,c",
        )


def _outputs(signature: Signature, scored: Scored, rows: int) -> Mapping[str, pa.Array]:
    found: dict[str, pa.Array] = {}
    for spec in signature.outputs:
        values = scored.outputs.get(spec.name)
        if values is None:  # every row failed
            found |= _unanswered(spec, rows)
            continue
        flat = values.reshape(rows, -1) if rows else values.reshape(0, max(1, int(np.prod(values.shape[1:]))))
        for at, name in enumerate(_names(spec.name, flat.shape[1])):
            found[name] = _column(flat[:, at], scored)
    if scored.confidence is not None:
        found["confidence"] = _column(scored.confidence, scored)
    return found


def _unanswered(spec: TensorSpec, rows: int) -> Mapping[str, pa.Array]:
    """The output's columns without a value, of the type that they have with one."""
    if -1 in spec.shape[1:]:
        return {}
    kind = pa.string() if spec.datatype == "BYTES" else pa.float64()
    width = int(np.prod(spec.shape[1:], dtype=np.int64))
    return {name: pa.nulls(rows, kind) for name in _names(spec.name, width)}


def _names(output: str, width: int) -> Sequence[str]:
    return [output] if width == 1 else [f"{output}.{at}" for at in range(width)]


def _column(values: np.ndarray, scored: Scored) -> pa.Array:
    """Numbers as float64, null where the row failed; anything else as text."""
    failed = np.zeros(len(values), np.bool_)
    failed[list(scored.failed or ())] = True
    if values.dtype.kind in "fiub":
        return pa.array(values.astype(np.float64), mask=failed)
    return pa.array(
        [None if bad else _text(one) for one, bad in zip(values, failed, strict=True)], pa.string()
    )


def _text(value: object) -> str:
    """Runtimes give the elements of a BYTES output as bytes, of UTF-8 where they are text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
