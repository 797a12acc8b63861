"""What a backfill is to do, and what names its results. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from mesh.runtimes.base import Artifact
from mesh.stores.views import DAY_MS, FeatureView


@dataclass(frozen=True, slots=True)
class Backfill:
    """Score the rows of `view` at `history` with event times from `start` until before `end` (ms since 1970) with `model`.

    Both are beginnings of days (UTC), because a day's results are kept whole; `ValueError` for other times. `columns` are the
    columns of the view that the model takes, in its order.
    """

    view: FeatureView
    history: str
    model: Artifact
    columns: tuple[str, ...]
    start: int
    end: int
    batch_rows: int = 1_024

    def __post_init__(self) -> None:
        if self.start % DAY_MS or self.end % DAY_MS or self.start >= self.end:
            raise ValueError(
                f"start and end must be rising beginnings of days, got {self.start} and {self.end}"
            )


def day_key(job: Backfill, day: int, files: Sequence[str], artifact_digest: str) -> int:
    """Names all that a day's results follow from, as a whole number below 2^63: the same number, the same results.

    `files` are those of the day in the history, and `artifact_digest` names the content of the model's file.
    """
    model = job.model
    parts = (
        job.view.transform, job.columns, day, sorted(files),
        model.name, model.kind, model.version, artifact_digest, sorted(map(repr, model.options.items())),
        model.confidence, model.signature,
    )  # fmt: skip
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=8).digest()) >> 1
