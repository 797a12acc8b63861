"""What is needed to decide on an item: the signal, what moved, what answered and why, what was said of the like."""

from typing import Final

import streamlit as st

from serve.console.api import Json
from serve.console.look import empty, number, on_axis, plain, table, tag, text, time_of
from serve.console.plots import CONFIG, signal_plot

SHOWN: Final = 2
"""Features that the plot begins with."""


def surroundings(case: Json) -> None:
    """The left side of the triage page."""
    _signal(case)
    explained, moved, similar = st.tabs(["Why", "What moved", "Cases like it"])
    with explained:
        _explain(case)
    with moved:
        _moved(case)
    with similar:
        _similar(case)


def _signal(case: Json) -> None:
    signal = case["signal"]
    if signal is None or not signal["times"]:
        reason = next((one for one in case["missing"] if one.startswith("signal")), "")
        empty("No signal to plot", reason.removeprefix("signal: ") or "No features of that time are kept.")
        if case["blind"] or case["item"]["prediction"]["score"] is None:
            return
    names = list(signal["series"]) if signal else []
    first = [one["name"] for one in case["moved"] if one["name"] in names][:SHOWN] or names[:SHOWN]
    chosen = first
    if names:
        key = f"features-{case['item']['id']}"
        chosen = st.multiselect(
            "Features",
            names,
            default=first,
            key=key,
            label_visibility="collapsed",
            placeholder="Choose features to plot",
        )
    st.plotly_chart(
        signal_plot(case, chosen[:4], on_axis),
        config=CONFIG,
        key="signal",
        alt=f"Signal of {case['item']['asset']} around the row",
    )


def _explain(case: Json) -> None:
    if case["blind"]:
        st.caption("Chance drew this row. What the mesh said of it is shown when you have judged.")
    if case["explain"]:
        st.html('<ul class="why">' + "".join(f"<li>{text(line)}</li>" for line in case["explain"]) + "</ul>")
    alert = case["alert"]
    if alert:
        st.html(
            f"<div class='head'>{tag(alert['state'], 'info')} alert of rule {text(alert['rule'])}, "
            f"opened {time_of(alert['opened_at'])}, "
            f"{alert['count']} rows; runbook {text(alert['runbook'])}</div>"
        )
    for decision in case["decisions"]:
        label = f" {decision['after']}" if decision["after"] else ""
        note = f": {text(decision['note'])}" if decision["note"] else ""
        st.html(
            f"{text(decision['actor'])} {text(decision['action'])}{text(label) if label else ''}, {time_of(decision['at'])}{note}"
        )
    for one in case["missing"]:
        st.caption(plain(f"Not shown — {one}"))


def _moved(case: Json) -> None:
    if not case["moved"] and case["values"]:
        st.caption("The past is not known; these are the row's own numbers.")
        table(
            ("input", "value"),
            [[text(name), number(value)] for name, value in case["values"].items()],
            numbers=(1,),
        )
        return
    if not case["moved"]:
        st.caption("Nothing is known of the time before, so no feature can be said to have moved.")
        return
    rows = [
        [text(one["name"])] + [number(value) for key, value in one.items() if key != "name"]
        for one in case["moved"]
    ]
    names = [key for key in case["moved"][0] if key != "name"]
    table(("feature", *names), rows, numbers=tuple(range(1, len(names) + 1)))


def _similar(case: Json) -> None:
    if not case["similar"] and not case["past"]:
        st.caption("No decided item looks like this one yet, and nothing of this asset was labelled.")
    if case["similar"]:
        table(
            ("asset", "row", "distance", "was"),
            [
                [
                    text(one["asset"]),
                    time_of(one["row_time"]),
                    number(one["distance"], 3),
                    _label(one["label"]),
                ]
                for one in case["similar"]
            ],
            numbers=(2,),
        )
    if case["past"]:
        st.caption("This asset before")
        table(("row", "was"), [[time_of(one["row_time"]), _label(one["label"])] for one in case["past"]])


def _label(label: str | None) -> str:
    return tag(label or "unknown", {"anomaly": "bad", "normal": "good"}.get(label or "", ""))
