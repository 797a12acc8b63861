"""Counts and times per endpoint, as `/stats` reports them: those of this process, since it started."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_UNUSED: Final = ("queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss")


@dataclass(slots=True)
class _Tally:
    successes: int = 0
    success_ns: int = 0
    failures: int = 0
    failure_ns: int = 0
    rows: int = 0
    last_ms: int = 0


@dataclass(frozen=True, slots=True)
class EndpointStatistics:
    """One endpoint's numbers: requests and their nanoseconds, rows answered, and when the last one came (Unix ms)."""

    successes: int
    success_ns: int
    failures: int
    failure_ns: int
    rows: int
    last_ms: int

    def as_triton(self, name: str, version: str) -> dict[str, object]:
        """An entry of Triton's `model_stats`. What the edge does not see (queue and compute inside models) is zero."""
        timed = {
            "success": {"count": self.successes, "ns": self.success_ns},
            "fail": {"count": self.failures, "ns": self.failure_ns},
        }
        return {
            "name": name,
            "version": version,
            "last_inference": self.last_ms,
            "inference_count": self.rows,
            "execution_count": self.successes,
            "inference_stats": {**timed, **{key: {"count": 0, "ns": 0} for key in _UNUSED}},
            "batch_stats": [],
        }


class Statistics:
    """Told of every request at the edge; one event loop."""

    def __init__(self) -> None:
        self._tallies: dict[str, _Tally] = {}

    def succeeded(self, endpoint: str, rows: int, seconds: float) -> None:
        """A request for `rows` rows was answered in `seconds`."""
        tally = self._tally(endpoint)
        tally.successes += 1
        tally.rows += rows
        tally.success_ns += int(seconds * 1e9)
        tally.last_ms = int(time.time() * 1000)

    def failed(self, endpoint: str, seconds: float) -> None:
        """A request was refused or failed after `seconds`."""
        tally = self._tally(endpoint)
        tally.failures += 1
        tally.failure_ns += int(seconds * 1e9)

    def of(self, endpoint: str) -> EndpointStatistics:
        """The numbers so far; all zero for an endpoint that nobody has asked."""
        tally = self._tallies.get(endpoint, _Tally())
        return EndpointStatistics(
            tally.successes,
            tally.success_ns,
            tally.failures,
            tally.failure_ns,
            tally.rows,
            tally.last_ms,
        )

    def _tally(self, endpoint: str) -> _Tally:
        tally = self._tallies.get(endpoint)
        if tally is None:
            tally = self._tallies[endpoint] = _Tally()
        return tally


def as_triton(statistics: Statistics, versions: Mapping[str, str]) -> dict[str, object]:
    """The body of `/v2/models/stats` for these endpoints."""
    return {
        "model_stats": [statistics.of(name).as_triton(name, version) for name, version in versions.items()]
    }
