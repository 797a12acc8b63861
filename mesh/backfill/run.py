"""A backfill over Ray Data: hours of history in, scored rows out, a day at a time, in bounded memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import ray

from mesh.backfill.plan import Backfill, day_key
from mesh.backfill.scoring import RowScorer
from mesh.backfill.sinks import DaySink
from mesh.stores.delta_reader import DeltaReader
from mesh.stores.delta_table import day_name
from mesh.stores.slices import Slice, slices_of

_BLOCKS_AHEAD: Final = 2


@dataclass(frozen=True, slots=True)
class Workers:
    """How many score at a time, and what each holds."""

    count: int = 1
    cpus: float = 1.0
    gpus: float = 0.0


@dataclass(frozen=True, slots=True)
class Progress:
    """`rows` of about `total` are scored and `days` are done; `skipped` ones of these were there already."""

    rows: int
    total: int
    days: int
    skipped: int


class ScoreSlices:
    """What a worker runs: reads an hour of history and scores it. Opens the model and the table once."""

    def __init__(self, job: Backfill) -> None:
        places = [job.view.columns.index(name) for name in job.columns]
        self._job, self._scorer = job, RowScorer(job.model, places)
        self._reader = DeltaReader(job.history, job.view)

    def __call__(self, slices: dict[str, Any]) -> Iterator[pa.Table]:
        """Tables of scored rows; `slices` are columns of the fields of `Slice`."""
        for start, end in zip(slices["start"].tolist(), slices["end"].tolist(), strict=True):
            rows, most = self._reader.stretch(start, end), self._job.batch_rows
            for first in range(0, len(rows), most):
                yield self._scorer.score(rows.take(np.arange(first, min(first + most, len(rows)))))


def backfill(
    job: Backfill, sink: DaySink, artifact_digest: str, workers: Workers, tell: Callable[[Progress], None]
) -> Progress:
    """Score every day that reaches into the job and is not kept yet; `tell` hears of every few rows.

    A day that fails leaves what was kept of it as it was. Run it again to go on: days that are kept are passed over.
    """
    reader = DeltaReader(job.history, job.view)
    wanted, skipped = [], 0
    for day in reader.days(job.start, job.end - 1):
        files = reader.files(day)
        key, name = day_key(job, day, list(files), artifact_digest), day_name(day)
        if sink.has(name, key):
            skipped += 1
        else:
            wanted.append((day, name, key, sum(files.values())))
    now = Progress(0, sum(rows for *_, rows in wanted), skipped, skipped)
    tell(now)
    for day, name, key, _ in wanted:
        watched = _Watched(_scored(job, slices_of(day, job.start, job.end), workers), now, tell)
        written = sink.write(name, key, iter(watched))
        now = replace(now, rows=now.rows + written, days=now.days + 1)
        tell(now)
    return now


@dataclass(frozen=True, slots=True)
class _Watched:
    """Tables on their way, and how far the whole is with each."""

    tables: Iterator[pa.Table]
    before: Progress
    tell: Callable[[Progress], None]

    def __iter__(self) -> Iterator[pa.Table]:
        rows = self.before.rows
        for table in self.tables:
            rows += table.num_rows
            self.tell(replace(self.before, rows=rows))
            yield table


def _scored(job: Backfill, slices: tuple[Slice, ...], workers: Workers) -> Iterator[pa.Table]:
    """Tables of scored rows as they come."""
    items = [{"start": one.start, "end": one.end} for one in slices]
    scored = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        ScoreSlices,
        fn_constructor_args=(job,),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=workers.count),
        num_cpus=workers.cpus,
        num_gpus=workers.gpus or None,
    )
    for block in scored.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=_BLOCKS_AHEAD):
        if block.num_rows:
            yield block
