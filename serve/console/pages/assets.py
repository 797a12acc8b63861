"""Assets: the newest features of one, as they come, and what is open about it."""

from collections import deque
from typing import Final

import streamlit as st

from serve.console.api import Json, Mesh, Refused
from serve.console.look import empty, facts, failed, live, number, on_axis, table, tag, text, time_of
from serve.console.plots import CONFIG, series_plot
from serve.console.times import span

REFRESH_S: Final = 2.0
KEPT: Final = 300
"""Rows of an asset that a visit keeps: ten minutes of a row every two seconds."""
SHOWN: Final = 4
_CHOSEN: Final = "assets-chosen"
"""Who looks at an asset goes on looking at it when others alert, and when it does so no more."""


def show(mesh: Mesh) -> None:
    """The page."""
    st.title("Assets")
    known = list(dict.fromkeys((*_known(mesh), *filter(None, [st.session_state.get(_CHOSEN)]))))
    choose, write = st.columns(2, vertical_alignment="bottom")
    written = write.text_input("Or write its name", placeholder="pump-7", max_chars=256)
    listed = choose.selectbox(
        "An asset that alerts or waits for review",
        known,
        index=0 if known else None,
        placeholder="none now",
        key=_CHOSEN,
    )
    asset = written.strip() or listed
    if not asset:
        empty("No asset has an alert or waits for review", "Write an asset's name to see its signals.")
        return
    plot, words = st.columns([2, 1], gap="medium")
    with plot:
        live(REFRESH_S, lambda: _signals(mesh, asset))
    with words:
        _alerts(mesh, asset)
        _items(mesh, asset)


def _known(mesh: Mesh) -> list[str]:
    """Assets with open alerts first, then those that wait; where one of both is away, the other alone."""
    found: dict[str, None] = {}
    for path, key, params in (
        ("/alerts", "alerts", {"state": "open", "limit": 100}),
        ("/review/queue", "items", {"limit": 100}),
    ):
        try:
            found |= {one["asset"]: None for one in mesh.get(path, **params)[key]}
        except Refused as refused:
            failed(refused.message)
    return list(found)


def _signals(mesh: Mesh, asset: str) -> None:
    try:
        row = mesh.get("/features/{}", asset)
    except Refused as refused:
        if refused.status != 404:
            raise
        empty(
            "No features of this asset",
            "The telemetry chain keeps the newest row of each asset that it reads; is this one sending?",
        )
        return
    rows: deque[Json] = st.session_state.setdefault(f"signals-{asset}", deque(maxlen=KEPT))
    if not rows or rows[-1]["event_time"] != row["event_time"]:
        rows.append(row)
    names = list(row["features"])
    means = [name for name in names if name.endswith(".mean")] or names
    chosen = st.multiselect(
        "Features", names, default=means[:SHOWN], key=f"choose-{asset}", label_visibility="collapsed"
    )
    facts(
        {
            "row of": time_of(row["event_time"]),
            "age": text(span(row["age_ms"] / 1000)),
            "rows seen": str(len(rows)),
        }
    )
    series = {name: [one["features"].get(name) for one in rows] for name in chosen[:SHOWN]}
    st.plotly_chart(
        series_plot([on_axis(one["event_time"]) for one in rows], series),
        config=CONFIG,
        key="live",
        alt=f"Signals of {asset}",
    )
    with st.expander(f"All {len(names)} values"):
        table(
            ("feature", "value"),
            [[text(name), number(value)] for name, value in row["features"].items()],
            numbers=(1,),
        )


def _alerts(mesh: Mesh, asset: str) -> None:
    st.subheader("Alerts")
    found = mesh.get("/alerts", asset=asset, limit=8)["alerts"]
    if not found:
        st.caption("None.")
        return
    table(
        ("opened", "severity", "state"),
        [
            [time_of(one["opened_at"]), tag(one["severity"], one["severity"]), text(one["state"])]
            for one in found
        ],
    )


def _items(mesh: Mesh, asset: str) -> None:
    st.subheader("Waiting for review")
    found = mesh.get("/review/queue", asset=asset, limit=8)["items"]
    if not found:
        st.caption("Nothing.")
        return
    table(
        ("row", "state", "held by"),
        [[time_of(one["row_time"]), text(one["state"]), text(one["held_by"])] for one in found],
    )
