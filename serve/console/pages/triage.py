"""Triage: one item at a time, with what is needed to decide, by button and by key."""

import time
from typing import Any, Final

import streamlit as st

from serve.console import actions
from serve.console.api import Json, Mesh
from serve.console.desk import Desk
from serve.console.look import empty, live, now, number, plain, table, tag, text, time_of, told, troubled
from serve.console.pages.evidence import surroundings
from serve.console.times import left, parsed, span

REFRESH_S: Final = 5.0
_PAINT_S: Final = 0.5
_KINDS: Final = {"alert": "alert", "unsure": "unsure answer", "audit": "random audit"}


def show(mesh: Mesh) -> None:
    """The page."""
    desk = Desk(mesh)
    desk.fill()
    told()
    if not mesh.may(actions.NEXT):
        st.title("Triage")
        empty("You may look, not decide", "Deciding takes the role analyst; below is what waits.")
        live(REFRESH_S, lambda: _queue(mesh, desk))
        return
    case = desk.case
    if case is None:
        st.title("Triage")
        troubled()
        empty(
            "Nothing waits for you",
            "New items come from alerts, unsure answers and the random audit. This page looks again by itself.",
        )
        live(REFRESH_S, lambda: _wait(mesh))
        _undo(desk)
        return
    _head(case)
    troubled()
    left_side, right_side = st.columns([2.1, 1], gap="medium")
    with right_side:
        _decisions(mesh, desk, case)
        live(REFRESH_S, lambda: _strip(mesh, desk))
    _painted()
    with left_side:
        surroundings(case)


def _painted() -> None:
    """Let the browser show what it has: its first plot's program, 5 MB, keeps it from anything else for a second."""
    if "painted" not in st.session_state:
        time.sleep(_PAINT_S)
        st.session_state["painted"] = True


def _head(case: Json) -> None:
    item = case["item"]
    marks = [f"<strong>{text(item['asset'])}</strong>", tag(_KINDS[item["source"]], "info")]
    if item["severity"]:
        marks.append(tag(item["severity"], item["severity"]))
    if item["state"] != "open":
        marks.append(tag(item["state"], "bad"))
    if case["blind"]:
        marks.append(tag("prediction hidden until you judge"))
    elif item["prediction"]:
        marks.append(
            tag(
                f"predicted {item['prediction']['label']}",
                "bad" if item["prediction"]["label"] == "anomaly" else "good",
            )
        )
    marks.append(f"row of {time_of(item['row_time'])}")
    marks.append(f"<span>{text(item['summary'])}</span>" if item["summary"] else "")
    st.html('<div class="head" data-item="' + text(item["id"]) + '">' + " ".join(marks) + "</div>")


def _decisions(mesh: Mesh, desk: Desk, case: Json) -> None:
    item = case["item"]["id"]
    if desk.overriding:
        _reasons(mesh, desk, case)
    elif case["blind"]:
        one, two = st.columns(2)
        for place, words, key in ((one, "Anomaly", "A"), (two, "Normal", "N")):
            _say(place, desk, item, "judge", words, key, kind="primary", label=words.lower())
    else:
        predicted = case["item"]["prediction"]["label"]
        _say(st, desk, item, "confirm", f"Confirm {predicted}", "Y", kind="primary")
        other = "normal" if predicted == "anomaly" else "anomaly"
        st.button(f"Override: it is {other} …", shortcut="O", on_click=desk.ask_reason, width="stretch")
    one, two = st.columns(2)
    _say(one, desk, item, "cannot_say", "Cannot say", "X")
    _say(two, desk, item, "skip", "Skip", "S")
    _say(one, desk, item, "escalate", "Escalate", "E")
    with two:
        _undo(desk)
    st.text_area("Note", key=f"note-{item}", max_chars=2_000, height=68, placeholder="Why you think so")
    typed, button = st.columns([2, 1], vertical_alignment="bottom")
    typed.text_input("Tags", key=f"tags-{item}", placeholder="bearing, night shift")
    _say(button, desk, item, "tag", "Tag", "T")
    if case["incident_items"] > 1 and mesh.may(actions.BULK):
        _incident(mesh, desk, case)


def _say(
    place: Any,
    desk: Desk,
    item: str,
    action: str,
    words: str,
    key: str | None,
    kind: str = "secondary",
    **said: str,
) -> None:
    """A button that is this item's own: what was pressed for one is never taken for the one that comes after it."""
    place.button(
        words,
        key="-".join((action, *said.values(), item)),
        shortcut=key,
        on_click=desk.decide,
        args=(item, action),
        kwargs=said,
        type=kind,
        width="stretch",
    )


def reasons(mesh: Mesh) -> dict[str, str]:
    """What an override may give as its reason, by code; asked once in a session."""
    if "reasons" not in st.session_state:
        found = mesh.get("/review/rules")["reasons"]
        st.session_state["reasons"] = {
            one["code"]: f"{one['meaning']} (write a note)" if one["note"] else one["meaning"]
            for one in found
        }
    known: dict[str, str] = st.session_state["reasons"]
    return known


def _reasons(mesh: Mesh, desk: Desk, case: Json) -> None:
    other = "normal" if case["item"]["prediction"]["label"] == "anomaly" else "anomaly"
    st.markdown(f"**It is {other}, because**")
    item = case["item"]["id"]
    for at, (reason, words) in enumerate(reasons(mesh).items(), 1):
        _say(st, desk, item, "override", words, str(at) if at < 10 else None, reason=reason)
    st.button("Back", shortcut="B", on_click=desk.ask_reason, width="stretch")


def _undo(desk: Desk) -> None:
    last = desk.last()
    st.button(
        "Undo", shortcut="Z", on_click=desk.undo, args=(last,), disabled=last is None, width="stretch",
        key=f"undo-{last.id if last else ''}", help=plain(f"Takes back: {last.words}") if last else "Nothing to take back yet",
    )  # fmt: skip


def _incident(mesh: Mesh, desk: Desk, case: Json) -> None:
    item, count = case["item"]["id"], case["incident_items"]
    with st.expander(f"Incident of {count} items"):
        table(
            ("row", "state", "why it waits"),
            [
                [time_of(one["row_time"]), text(one["state"]), text(_KINDS[one["source"]])]
                for one in case["siblings"][:8]
            ],
        )
        st.button(
            f"Confirm all {count}",
            key=f"confirm-all-{item}",
            shortcut="Shift+Y",
            on_click=desk.decide_incident,
            args=(item, "confirm"),
            width="stretch",
        )
        known = reasons(mesh)
        reason = st.selectbox(
            "Reason to override all", list(known), format_func=known.__getitem__, key="bulk-reason"
        )
        st.button(
            f"Override all {count}",
            key=f"override-all-{item}",
            on_click=desk.decide_incident,
            args=(item, "override"),
            kwargs={"reason": reason},
            width="stretch",
        )


def _strip(mesh: Mesh, desk: Desk) -> None:
    """How long the item is held, and what comes after it."""
    case = desk.case
    if case is None:
        return
    until = case["item"]["held_until"]
    remaining = (parsed(until) - now()).total_seconds() if until else 0.0
    if remaining > 0:
        st.caption(f"You hold it for {span(remaining)} more, {left(case['item']['due'], now())}")
    else:
        st.warning("You no longer hold this item; somebody else may take it.")
        st.button("Hold it again", on_click=desk.hold, width="stretch")
    _queue(mesh, desk, 4)


def _queue(mesh: Mesh, desk: Desk, most: int = 12) -> None:
    page = mesh.get("/review/queue", limit=most + 1)
    held = desk.case["item"]["id"] if desk.case else None
    st.markdown(f"**{page['waiting']:,} waiting**")
    shown = [item for item in page["items"] if item["id"] != held][:most]
    table(
        ("asset", "severity", "urgency", "held by"),
        [
            [
                text(one["asset"]),
                tag(one["severity"] or _KINDS[one["source"]], one["severity"] or ""),
                number(one["urgency"], 3),
                text(one["held_by"]),
            ]
            for one in shown
        ],
        numbers=(2,),
    )


def _wait(mesh: Mesh) -> None:
    waiting = mesh.get("/review/queue", limit=1)["waiting"]
    st.caption(
        f"{waiting:,} waiting in all; those that others hold or that you have judged are not offered to you."
    )
    asked = st.session_state.get("triage.waiting")
    st.session_state["triage.waiting"] = waiting
    if asked is not None and waiting != asked:
        st.rerun()
