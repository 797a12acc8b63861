"""What a backfill is to do, cut into slices that are scored for themselves. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from mesh.runtimes.base import Artifact
from mesh.stores.views import DAY_MS, FeatureView

SLICE_MS: Final = 3_600_000
"""An hour: what one task reads and holds."""


@dataclass(frozen=True, slots=True)
class Backfill:
    """Score the rows of `view` at `history` with event times from `start` until before `end` (ms since 1970) with `model`.

    `columns` are the columns of the view that the model takes, in its order.
    """

    view: FeatureView
    history: str
    model: Artifact
    columns: tuple[str, ...]
    start: int
    end: int
    batch_rows: int = 1_024


@dataclass(frozen=True, slots=True)
class Slice:
    """The rows with start ≤ event time < end, all of one `day` (days since 1970)."""

    day: int
    start: int
    end: int


def slices_of(day: int, start: int, end: int) -> tuple[Slice, ...]:
    """The part of a day that lies between start and end, hour by hour."""
    begin, stop = max(start, day * DAY_MS), min(end, (day + 1) * DAY_MS)
    edges = [begin, *range((begin // SLICE_MS + 1) * SLICE_MS, stop, SLICE_MS), stop]
    return tuple(Slice(day, low, high) for low, high in zip(edges, edges[1:], strict=False) if low < high)


def day_key(job: Backfill, day: int, files: Sequence[str], artifact_digest: str) -> int:
    """Names all that a day's results follow from, as a whole number below 2^63: the same number, the same results.

    `files` are those of the day in the history, and `artifact_digest` names the content of the model's file.
    """
    model = job.model
    begin, stop = max(job.start, day * DAY_MS), min(job.end, (day + 1) * DAY_MS)
    parts = (
        job.view.transform, job.columns, begin, stop, sorted(files),
        model.name, model.kind, model.version, artifact_digest, sorted(map(repr, model.options.items())),
    )  # fmt: skip
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=8).digest()) >> 1
