"""Finding the rows that make a call raise, so that a poisoned row never takes its neighbours with it."""

import time
from collections.abc import Callable

import numpy as np

from mesh.errors import DeadlineExceeded, MeshError
from mesh.routing.types import Tensors
from mesh.runtimes.outputs import Piece, WrongOutput

ScoreRows = Callable[[Tensors, int], dict[str, np.ndarray]]
"""Tensors and their number of rows to outputs."""

MAX_REASON = 500
"""Characters of an error that are kept: frameworks put whole stack traces into theirs."""


def score_by_halves(
    score: ScoreRows, tensors: Tensors, rows: int, error: BaseException, deadline: float | None = None
) -> tuple[list[Piece], dict[int, str]]:
    """Outputs of the rows that can be scored, in pieces, and row → reason for those that raise alone.

    `error` is what the call with all rows raised. Halves are tried until what raises is one row: for k such
    rows of n about 2k·log2(n/k) + 2k calls (binary splitting; Sobel and Groll 1959), never more than 2n - 2.
    A `MeshError` (the model is away), a `MemoryError` and a `WrongOutput` say nothing about single rows and
    are raised, and `DeadlineExceeded` once it is past `deadline` (`time.monotonic`): nobody waits for the rest.
    """
    pieces: list[Piece] = []
    failed: dict[int, str] = {}
    waiting: list[tuple[int, int, BaseException]] = [(0, rows, error)]
    while waiting:
        start, stop, why = waiting.pop()
        if stop - start == 1:
            failed[start] = reason_of(why)
            continue
        middle = (start + stop) // 2
        for first, last in ((middle, stop), (start, middle)):
            if deadline is not None and time.monotonic() >= deadline:
                raise DeadlineExceeded(
                    f"time ran out while rows that raise were looked for among {rows}, the first with {reason_of(error)}"
                )
            try:
                outputs = score({name: array[first:last] for name, array in tensors.items()}, last - first)
            except (MeshError, MemoryError, WrongOutput, KeyboardInterrupt):
                raise
            except BaseException as raised:  # noqa: BLE001 - whatever it is, some row is at fault; a panic of Rust is no Exception
                waiting.append((first, last, raised))
            else:
                pieces.append((first, last, outputs))
    return pieces, failed


def reason_of(error: BaseException) -> str:
    """`ErrorClass: message`, cut to `MAX_REASON` characters."""
    return f"{type(error).__name__}: {error}"[:MAX_REASON]


def all_failed(rows: int, error: BaseException) -> dict[int, str]:
    """Every row with the same reason."""
    return dict.fromkeys(range(rows), reason_of(error))


def no_confidence(rows: int) -> np.ndarray:
    """float32 [N] of NaN."""
    return np.full(rows, np.nan, dtype=np.float32)
