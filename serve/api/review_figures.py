"""Labels and figures as the API shows them."""

from dataclasses import dataclass
from datetime import datetime

from mesh.review.adjudication import Basis
from mesh.review.ports import AdjudicatedLabel, LabelPage
from mesh.review.quality import Quality
from mesh.review.values import Label
from serve.api.alert_views import moment


@dataclass(frozen=True, slots=True)
class LabelView:
    """A label that was adjudicated; `excluded` once an undo took it back. `weight` is 1/inclusion for what chance drew."""

    id: str
    item: str
    asset: str
    row_time: datetime
    label: Label
    predicted: Label
    weight: float
    basis: Basis
    actors: list[str]
    decisions: list[str]
    at: datetime
    record: str | None
    excluded: bool
    model: str
    version: str


@dataclass(frozen=True, slots=True)
class LabelPageView:
    """Labels in the order in which they came to stand; `cursor` asks for the next page and is null after the last."""

    labels: list[LabelView]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class QualityView:
    """The figures of rows, and decisions, from `since` until before `until`. docs/hil-ops.md has the formulas."""

    since: datetime
    until: datetime
    figures: Quality


def label_page_view(page: LabelPage) -> LabelPageView:
    """A page as it is shown."""
    return LabelPageView([_label(one) for one in page.labels], page.cursor)


def _label(one: AdjudicatedLabel) -> LabelView:
    return LabelView(
        one.id, one.item, one.asset, moment(one.row_time), one.label, one.predicted, one.weight, one.basis,
        list(one.actors), list(one.decisions), moment(one.at), None if one.place is None else str(one.place),
        one.excluded, one.model, one.version,
    )  # fmt: skip
