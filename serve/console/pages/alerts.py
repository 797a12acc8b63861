"""Alerts: what is open, newest first, and what people did about it."""

from typing import Final

import streamlit as st

from serve.console import actions
from serve.console.actions import Action
from serve.console.api import Json, Mesh, Refused
from serve.console.look import (
    cursors,
    empty,
    live,
    table,
    tag,
    tell,
    text,
    time_of,
    toast,
    told,
    trouble,
    troubled,
)

PAGE: Final = 12
REFRESH_S: Final = 5.0
_STATES: Final = ("open", "acknowledged", "resolved", "all")


def show(mesh: Mesh) -> None:
    """The page."""
    st.title("Alerts")
    told()
    troubled()
    state, severity, asset, note = st.columns([2.3, 0.8, 1, 1.3], vertical_alignment="bottom")
    chosen = state.segmented_control("State", _STATES, default="open", key="alerts-state") or "all"
    severe = severity.selectbox("Severity", ("any", "critical", "warning", "info"))
    named = asset.text_input("Asset", placeholder="all assets")
    note.text_input("Note", key="alerts-note", max_chars=2_000, placeholder="kept with what you do next")
    wanted = {
        "state": None if chosen == "all" else chosen,
        "severity": None if severe == "any" else severe,
        "asset": named.strip() or None,
    }
    live(REFRESH_S, lambda: _page(mesh, wanted))


def _page(mesh: Mesh, wanted: dict[str, str | None]) -> None:
    before = cursors(wanted)
    page = mesh.get("/alerts", limit=PAGE, cursor=before[-1] if before else None, **wanted)
    if not page["alerts"]:
        empty("No alerts here", "Choose another state above; rules are declared in config/alerts.yaml.")
    for alert in page["alerts"]:
        _alert(mesh, alert)
    newer, older, _ = st.columns([1, 1, 4])
    newer.button("Newer", disabled=not before, on_click=_newer, args=(before,), width="stretch")
    older.button(
        "Older", disabled=not page["cursor"], on_click=lambda: before.append(page["cursor"]), width="stretch"
    )


def _alert(mesh: Mesh, alert: Json) -> None:
    with st.container(border=True):
        words, buttons = st.columns([4.2, 1.8], vertical_alignment="center")
        marks = [
            tag(alert["severity"], alert["severity"]),
            tag(alert["state"]),
            f"<strong>{text(alert['asset'])}</strong>",
            text(alert["summary"]),
        ]
        said = [
            f"opened {time_of(alert['opened_at'])}",
            f"rule {text(alert['rule'])}",
            "1 row" if alert["count"] == 1 else f"{alert['count']:,} rows",
        ]
        for name in ("acknowledged", "resolved"):
            if alert[name]:
                mark = alert[name]
                note = f" “{text(mark['note'])}”" if mark["note"] else ""
                said.append(f"{name} by {text(mark['actor'])} {time_of(mark['at'])}{note}")
        with words:
            st.html(f'<div class="head">{" ".join(marks)}</div><small>{" · ".join(said)}</small>')
            if alert["groups"]:
                table(
                    ("rule", "alerts"),
                    [[text(one["rule"]), str(one["count"])] for one in alert["groups"]],
                    numbers=(1,),
                )
        first, second = buttons.columns(2)
        if alert["state"] == "open" and mesh.may(actions.ACKNOWLEDGE):
            first.button(
                "Acknowledge",
                key=f"ack-{alert['id']}",
                on_click=_act,
                args=(mesh, actions.ACKNOWLEDGE, alert),
                width="stretch",
            )
        if alert["state"] != "resolved" and mesh.may(actions.RESOLVE):
            second.button(
                "Resolve",
                key=f"resolve-{alert['id']}",
                on_click=_act,
                args=(mesh, actions.RESOLVE, alert),
                width="stretch",
            )


def _act(mesh: Mesh, action: Action, alert: Json) -> None:
    trouble(None)
    try:
        changed = mesh.act(action, alert["id"], note=st.session_state.get("alerts-note", ""))
    except Refused as refused:
        trouble(refused.message)
        toast(refused.message)
        return
    st.session_state["alerts-note"] = ""
    tell(f"{changed['asset']} is {changed['state']}")


def _newer(before: list[str]) -> None:
    before.pop()
