"""Joining the rows of several callers into one call, and taking the answer apart again."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeVar

import numpy as np

from mesh.routing.types import Answer, Batch, CallResult, RowFailure, Scored, Tensors, Unreachable
from mesh.wire.frames import DEFAULT_MAX_FRAME_BYTES

_T = TypeVar("_T")

ShapeKey = tuple[tuple[str, int, tuple[int, ...]], ...]
"""Calls can be joined when their keys are equal: same tensor names, dtypes and shapes beyond the row."""

_JOINED_BYTES: Final = DEFAULT_MAX_FRAME_BYTES // 2
"""So much is joined: half of what a call may have, as texts may be longer than those that were looked at."""

_LOOKED_AT: Final = 64


def shape_key(tensors: Tensors) -> ShapeKey:
    """Name, dtype number and trailing shape of each tensor, in order."""
    return tuple([(name, array.dtype.num, array.shape[1:]) for name, array in tensors.items()])


def join_tensors(parts: Sequence[Tensors]) -> Tensors:
    """Concatenate along the rows; all parts have the same shape key."""
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def joinable_rows(tensors: Tensors, rows: int) -> int:
    """How many rows like these may go in one call; a call that is too large would be refused to everyone in it."""
    size = 1
    for array in tensors.values():
        size += _text_bytes(array) if array.dtype.hasobject else array.nbytes
    return _JOINED_BYTES * rows // size or 1


def _text_bytes(array: np.ndarray) -> int:
    looked_at = array.reshape(-1)[:_LOOKED_AT].tolist()
    # What is no text is refused later.
    known = sum([len(text) for text in looked_at if isinstance(text, bytes)])
    return (known // max(len(looked_at), 1) + 4) * array.size


def take_rows(tensors: Tensors, rows: np.ndarray, total: int) -> Tensors:
    """The chosen rows; the tensors themselves when all are chosen in order."""
    if len(rows) == total:
        return tensors
    return {name: array[rows] for name, array in tensors.items()}


def split_result(result: CallResult, sizes: Sequence[int]) -> Iterator[CallResult]:
    """One result per caller, in the order in which their rows were joined."""
    if len(sizes) == 1 or isinstance(result, Unreachable):
        for _ in sizes:
            yield result
        return
    start = 0
    for size in sizes:
        stop = start + size
        yield Scored(
            {name: array[start:stop] for name, array in result.outputs.items()},
            None if result.confidence is None else result.confidence[start:stop],
            result.version,
            slice_rows(result.failed, start, stop) if result.failed else result.failed,
        )
        start = stop


def slice_rows(by_row: Mapping[int, _T], start: int, stop: int) -> dict[int, _T]:
    """The entries of rows [start, stop), counted from `start`."""
    return {row - start: value for row, value in by_row.items() if start <= row < stop}


def join_batches(batches: Sequence[Batch]) -> Batch:
    """One batch of all rows, in order. All have the same shape key, attribute names, and keys or no keys."""
    if len(batches) == 1:
        return batches[0]
    first = batches[0]
    return Batch(
        join_tensors([batch.tensors for batch in batches]),
        [row_id for batch in batches for row_id in batch.ids],
        None if first.keys is None else [key for batch in batches for key in batch.keys or ()],
        {name: [value for batch in batches for value in batch.attributes[name]] for name in first.attributes},
    )


def split_answer(answer: Answer, sizes: Sequence[int]) -> Iterator[Answer]:
    """One answer per caller."""
    if len(sizes) == 1:
        yield answer
        return
    start = 0
    for size in sizes:
        stop = start + size
        failed: Mapping[int, RowFailure] = (
            slice_rows(answer.failed, start, stop) if answer.failed else answer.failed
        )
        yield Answer(
            {name: array[start:stop] for name, array in answer.outputs.items()},
            None if answer.confidence is None else answer.confidence[start:stop],
            answer.origins,
            answer.origin_of[start:stop],
            answer.degraded[start:stop],
            failed,
            answer.rules,
            None if answer.voices is None else answer.voices.part(start, stop),
            None if answer.calls is None else (answer.calls[0], start, stop),
        )
        start = stop
