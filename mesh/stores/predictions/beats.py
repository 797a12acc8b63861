"""What an ingest replica says of itself every two seconds, and what many such words come to. Pure.

Averages are over a sliding window: each replica tells the counts of its last `window_s` seconds, and counts add up.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

BEAT_S: Final = 2.0
"""How often a replica beats."""

FRESH_S: Final = 6.0
"""A beat that is older is of a replica that is away: three in a row are missing."""

WINDOW_S: Final = 30.0
"""How far back the counts of a beat reach."""


class ModelWindow(msgspec.Struct, frozen=True):
    """Records of one endpoint in the window: answered, failed, and the sum of the answered ones' latencies in seconds."""

    answered: int = 0
    failed: int = 0
    latency_s: float = 0.0

    def __add__(self, other: "ModelWindow") -> "ModelWindow":
        return ModelWindow(
            self.answered + other.answered, self.failed + other.failed, self.latency_s + other.latency_s
        )

    def __sub__(self, other: "ModelWindow") -> "ModelWindow":
        return ModelWindow(
            self.answered - other.answered, self.failed - other.failed, self.latency_s - other.latency_s
        )


class Beat(msgspec.Struct, frozen=True):
    """One replica's word. `lag` are records of its partitions after the committed offsets, `endpoints` what it can address.

    `logged`: its predictions go to the log. `window_s` is shorter than `WINDOW_S` for a replica that has just begun.
    """

    replica: str
    lag: int
    window_s: float
    models: Mapping[str, ModelWindow]
    endpoints: tuple[str, ...] = ()
    logged: bool = True


@dataclass(frozen=True, slots=True)
class Heard:
    """A beat and when the store took it: seconds since 1970 by the store's clock, and its age by the same clock."""

    beat: Beat
    at: float
    age_s: float

    @property
    def fresh(self) -> bool:
        """The replica is there."""
        return self.age_s <= FRESH_S


class SlidingCounts:
    """Counts of the last `window_s` seconds from totals that only grow. `now` is any clock that does not go back."""

    def __init__(self, now: float, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._kept: deque[tuple[float, Mapping[str, ModelWindow]]] = deque([(now, {})])

    def take(self, now: float, totals: Mapping[str, ModelWindow]) -> tuple[float, dict[str, ModelWindow]]:
        """The seconds that the window holds, and the counts in it by endpoint; those without any are left out."""
        kept = self._kept
        kept.append((now, dict(totals)))
        while len(kept) > 2 and kept[1][0] <= now - self._window_s:
            kept.popleft()
        since, before = kept[0]
        none = ModelWindow()
        counts = {name: total - before.get(name, none) for name, total in totals.items()}
        return now - since, {name: one for name, one in counts.items() if one.answered or one.failed}


@dataclass(frozen=True, slots=True)
class StreamState:
    """The stream of one endpoint, as the heartbeats tell it. None: nobody can know.

    `average_latency_ms` and `error_rate` (failed of all, 0 to 1) need a record in the window. `lag_records` is of the whole
    topic, since a partition holds records of every endpoint.
    """

    connected: bool
    replicas: int = 0
    last_heartbeat_at: float | None = None
    average_latency_ms: float | None = None
    predictions_per_second: float | None = None
    error_rate: float | None = None
    lag_records: int | None = None


def state_of(model_id: str, heard: Sequence[Heard]) -> StreamState:
    """What the beats say of one endpoint: of replicas that are there, and when the last was heard of any."""
    last = max((one.at for one in heard), default=None)
    fresh = [one.beat for one in heard if one.fresh]
    if not fresh:
        return StreamState(connected=False, last_heartbeat_at=last)
    counts = sum((beat.models.get(model_id, ModelWindow()) for beat in fresh), start=ModelWindow())
    rate = sum(
        beat.models.get(model_id, ModelWindow()).answered / beat.window_s for beat in fresh if beat.window_s
    )
    asked = counts.answered + counts.failed
    return StreamState(
        connected=True,
        replicas=len(fresh),
        last_heartbeat_at=last,
        average_latency_ms=counts.latency_s / counts.answered * 1e3 if counts.answered else None,
        predictions_per_second=rate,
        error_rate=counts.failed / asked if asked else None,
        lag_records=sum(beat.lag for beat in fresh),
    )
