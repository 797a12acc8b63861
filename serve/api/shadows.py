"""`/mesh/shadows`: how the models that are only compared differ from those that answer."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query

from mesh.shadows.book import ShadowFeed
from mesh.shadows.tally import KEPT
from mesh.shadows.values import LATENCY_BOUNDS, Disagreement, ShadowCounts, ShadowReport, Side
from serve.api.errors import ApiError

_AWAY: Final[dict[int | str, dict[str, Any]]] = {
    503: {"model": ApiError, "description": "The desk of rules does not answer; see Retry-After"}
}


@dataclass(frozen=True, slots=True)
class RowsView:
    """Rows by what came of them; `disagreement` is the share of compared rows whose labels differ, null without any."""

    compared: int
    failed: int
    dropped: int
    disagreed: int
    disagreement: float | None


@dataclass(frozen=True, slots=True)
class DifferenceView:
    """Shadow less primary over `values` pairs; null without any. `mean` has the sign, the others the size alone."""

    values: int
    mean: float | None
    mean_abs: float | None
    max_abs: float | None


@dataclass(frozen=True, slots=True)
class LatencyView:
    """Milliseconds of one model's calls, up to a fifth above the true quantile; null without any."""

    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class LatenciesView:
    """Of primary and shadow; `mean_difference` is shadow less primary in milliseconds, over calls that have both."""

    primary: LatencyView
    shadow: LatencyView
    mean_difference: float | None


@dataclass(frozen=True, slots=True)
class SideView:
    """What one of the two said."""

    model: str
    version: str
    label: str | float | bool | None
    score: float | None


@dataclass(frozen=True, slots=True)
class DisagreementView:
    """A row whose labels differ."""

    at: datetime
    id: str
    key: str
    primary: SideView
    shadow: SideView


@dataclass(frozen=True, slots=True)
class ShadowView:
    """One shadow of one route against one model that answered, since the mesh began; `outputs` have no sign."""

    endpoint: str
    route: str
    primary: str
    shadow: str
    rows: RowsView
    score: DifferenceView
    outputs: DifferenceView
    incomparable: int
    latency_ms: LatenciesView
    disagreements: list[DisagreementView]


def shadows_router(feed: ShadowFeed) -> APIRouter:
    """The route over `feed`. Errors are the mesh's own, for whoever hosts the router to answer."""
    router = APIRouter(prefix="/mesh/shadows", tags=["rules"])

    @router.get("", summary="How shadows compare", responses=_AWAY)
    async def shadows(
        *,
        endpoint: str | None = None,
        shadow: str | None = None,
        examples: Annotated[
            int, Query(ge=0, le=KEPT, description="Disagreements of each, newest first")
        ] = KEPT,
    ) -> list[ShadowView]:
        """Counts of all processes, told once a second, with the last disagreements."""
        return [
            shadow_view(report, examples)
            for report in await feed.reports()
            if endpoint in (None, report.key.endpoint) and shadow in (None, report.key.shadow)
        ]

    return router


def shadow_view(report: ShadowReport, examples: int) -> ShadowView:
    """A report as JSON shows it."""
    key, counts = report.key, report.counts
    return ShadowView(
        key.endpoint,
        key.route,
        key.primary,
        key.shadow,
        RowsView(
            counts.compared, counts.failed, counts.dropped, counts.disagreed,
            _share(counts.disagreed, counts.compared),
        ),
        DifferenceView(
            counts.score_rows,
            _share(counts.score_sum, counts.score_rows),
            _share(counts.score_abs_sum, counts.score_rows),
            counts.score_abs_max if counts.score_rows else None,
        ),
        DifferenceView(
            counts.output_values,
            None,
            _share(counts.output_abs_sum, counts.output_values),
            counts.output_abs_max if counts.output_values else None,
        ),
        counts.incomparable,
        _latencies(counts),
        [_disagreement_view(each) for each in report.disagreements[:examples]],
    )  # fmt: skip


def _latencies(counts: ShadowCounts) -> LatenciesView:
    mean = _share(counts.seconds_sum, counts.timed_calls)
    return LatenciesView(
        _latency(counts.primary_seconds),
        _latency(counts.shadow_seconds),
        None if mean is None else mean * 1e3,
    )


def _latency(buckets: Sequence[int]) -> LatencyView:
    return LatencyView(_quantile_ms(buckets, 0.5), _quantile_ms(buckets, 0.95))


def _quantile_ms(buckets: Sequence[int], share: float) -> float | None:
    """The upper bound of the bucket that holds the quantile; of the last, open one, its lower bound."""
    upto = list(accumulate(buckets))
    if not upto[-1]:
        return None
    place = bisect_left(upto, share * upto[-1])
    return LATENCY_BOUNDS[min(place, len(LATENCY_BOUNDS) - 1)] * 1e3


def _disagreement_view(one: Disagreement) -> DisagreementView:
    at = datetime.fromtimestamp(one.at_ms / 1_000, UTC)
    return DisagreementView(at, one.id, one.key, _side_view(one.primary), _side_view(one.shadow))


def _side_view(side: Side) -> SideView:
    known = isinstance(side.label, str | float | bool | int) or side.label is None
    return SideView(side.model, side.version, side.label if known else str(side.label), side.score)  # type: ignore[arg-type]


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None
