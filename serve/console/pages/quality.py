"""Quality: how good the mesh is, and the people who judge it."""

from datetime import timedelta
from typing import Final

import streamlit as st

from serve.console.api import Json, Mesh
from serve.console.look import empty, now, number, share, table, text, time_of
from serve.console.plots import CONFIG, estimates_plot
from serve.console.times import span

_SPANS: Final = {"1 day": 1, "7 days": 7, "30 days": 30}
_RATES: Final = {
    "true positives": "tpr",
    "false positives": "fpr",
    "precision": "precision",
    "prevalence": "prevalence",
}


def show(mesh: Mesh) -> None:
    """The page."""
    st.title("Quality")
    chosen = st.segmented_control("Of the last", list(_SPANS), default="7 days") or "7 days"
    found = mesh.get("/review/quality", since=(now() - timedelta(days=_SPANS[chosen])).isoformat())
    figures = found["figures"]
    st.html(f"Rows and decisions from {time_of(found['since'])} until {time_of(found['until'])}")
    _numbers(figures)
    left, right = st.columns(2, gap="medium")
    with left:
        _rates(figures["rates"], figures["rates_by_model"])
    with right:
        _overrides(figures)
    _delays(figures)


def _numbers(figures: Json) -> None:
    agreement, budget = figures["agreement"], figures["budget"]
    shown = (
        ("Waiting", f"{figures['waiting']:,}", f"{figures['overdue']:,} overdue"),
        (
            "Override rate",
            share(figures["overrides"]["value"]),
            f"{figures['overrides']['rows']:,} decisions",
        ),
        (
            "Agreement (AC1)",
            number(agreement["ac1"], 2),
            f"alpha {number(agreement['alpha'], 2)}, {agreement['units']:,} judged twice",
        ),
        ("Time to detect", span(figures["detection"]["mean"]), f"{figures['detection']['missed']:,} missed"),
        ("Time to repair", span(figures["repair"]["mean"]), f"{figures['repair']['missed']:,} not resolved"),
        (
            "Over the alert budget",
            f"{budget['exceeded']:,}",
            f"of {budget['windows']:,} windows, most {budget['most']:,}",
        ),
    )
    for place, (name, value, beside) in zip(st.columns(len(shown)), shown, strict=True):
        place.metric(name, value)
        place.caption(beside)


def _rates(rates: Json, by_model: Json) -> None:
    st.subheader("Rates, from the random audit alone")
    named = {words: rates[key] for words, key in _RATES.items()}
    if all(one["value"] is None for one in named.values()):
        empty(
            f"{rates['judged']:,} of {rates['drawn']:,} drawn rows are judged",
            "Rates come from rows that chance drew: judge some in Triage.",
        )
        return
    st.plotly_chart(estimates_plot(named), config=CONFIG, key="rates", alt="Rates with intervals of 95 %")
    st.caption(
        f"{rates['judged']:,} of {rates['drawn']:,} drawn rows judged; intervals of 95 % (docs/hil-ops.md has the formulas)"
    )
    if len(by_model) > 1:
        table(
            ("model", "true positives", "false positives", "judged of drawn"),
            [
                [
                    text(name),
                    _interval(one["tpr"]),
                    _interval(one["fpr"]),
                    f"{one['judged']:,} of {one['drawn']:,}",
                ]
                for name, one in by_model.items()
            ],
            numbers=(1, 2, 3),
        )


def _interval(one: Json) -> str:
    return (
        share(one["value"])
        if one["value"] is None
        else (f"{share(one['value'])} ({share(one['low'])} to {share(one['high'])})")
    )


def _overrides(figures: Json) -> None:
    st.subheader("Overrides")
    by_model, by_person = figures["overrides_by_model"], figures["overrides_by_person"]
    if not by_model and not by_person:
        empty("Nobody has decided yet", "Decisions in Triage that saw the prediction count here.")
        return
    for words, found in (("model", by_model), ("person", by_person)):
        table(
            (words, "override rate", "interval of 95 %", "decisions"),
            [
                [
                    text(name),
                    share(one["value"]),
                    f"{share(one['low'])} to {share(one['high'])}",
                    f"{one['rows']:,}",
                ]
                for name, one in found.items()
            ],
            numbers=(1, 2, 3),
        )


def _delays(figures: Json) -> None:
    st.subheader("Delays")
    names = {
        "detection": "from onset to the first alert (MTTD)", "repair": "from acknowledgement to resolution (MTTR)",
        "turnaround": "from an item's making to its decision", "seconds": "from taking an item to deciding",
    }  # fmt: skip
    table(
        ("", "mean", "median", "95 % within", "count", "without an end"),
        [
            [
                text(words),
                *(span(figures[key][part]) for part in ("mean", "median", "p95")),
                f"{figures[key]['count']:,}",
                f"{figures[key]['missed']:,}",
            ]
            for key, words in names.items()
        ],
        numbers=(1, 2, 3, 4, 5),
    )
