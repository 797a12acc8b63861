"""Rollouts: how far each is, by which evidence, and what people have to say about it."""

from typing import Final

import streamlit as st

from serve.console import actions
from serve.console.actions import Action
from serve.console.api import Json, Mesh, Refused
from serve.console.look import (
    empty,
    facts,
    live,
    number,
    on_axis,
    plain,
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
from serve.console.plots import CONFIG, evidence_plot
from serve.console.times import span

REFRESH_S: Final = 2.0
_KIND: Final = {"Promoted": "good", "RolledBack": "bad", "Aborted": "bad", "Paused": "warning"}
_VERDICT: Final = {"success": "good", "failure": "bad"}
_ENDED: Final = ("Promoted", "RolledBack", "Aborted", "RollingBack")


def show(mesh: Mesh) -> None:
    """The page."""
    st.title("Rollouts")
    told()
    troubled()
    found = mesh.get("/rollouts")
    names = [one["name"] for one in found["rollouts"]]
    choose, note, start = st.columns([1.3, 2, 1.3], vertical_alignment="bottom")
    note.text_input(
        "Note", key="rollouts-note", max_chars=2_000, placeholder="why; kept with what you do next"
    )
    if mesh.may(actions.START) and found["plans"]:
        with start.popover("Start a rollout", width="stretch"):
            plan = st.selectbox("Plan of config/rollouts", found["plans"], key="rollouts-plan")
            st.button("Start", on_click=_start, args=(mesh, plan), type="primary", width="stretch")
    if not names:
        empty(
            "No rollout was started yet",
            "Write a plan in config/rollouts, check it with hyperstream check, and start it here.",
        )
        return
    # With a key the choice stays when others are started; without, the newest would take its place, and the next press.
    name = choose.selectbox("Rollout", names, key="rollouts-name")
    live(REFRESH_S, lambda: _rollout(mesh, name))


def _rollout(mesh: Mesh, name: str) -> None:
    detail = mesh.get("/rollouts/{}", name)
    rollout = detail["rollout"]
    state = rollout["state"] + (f": {rollout['pause']}" if rollout["pause"] else "")
    facts(
        {
            "": tag(state, _KIND.get(rollout["state"], "info")),
            "candidate": f"<strong>{text(rollout['candidate'])}</strong>",
            "for": text(rollout["primary"]),
            "of": text(rollout["endpoint"]),
            "answers": f"<strong>{rollout['candidate_percent']:g} %</strong>",
            "since": time_of(rollout["since"]),
            "by": text(rollout["started_by"]),
        }
    )
    if rollout["reason"]:
        st.caption(plain(rollout["reason"]))
    if rollout["trouble"]:
        st.warning(plain(rollout["trouble"]))
    _buttons(mesh, rollout)
    left, right = st.columns([1, 1.5], gap="medium")
    with left:
        _steps(rollout, detail["missing"])
    with right:
        _evidence(name, detail["evidence"])
    with st.expander(f"{len(detail['history'])} moves"):
        table(
            ("when", "who", "what", "to", "why"),
            [
                [
                    time_of(one["at"]),
                    text(one["actor"]),
                    text(one["action"]),
                    text(one["after"]),
                    text(one["reason"]),
                ]
                for one in reversed(detail["history"])
            ],
        )


def _buttons(mesh: Mesh, rollout: Json) -> None:
    state, waits = rollout["state"], rollout["pause"] == "approval"
    moving = state in ("Pending", "Shadowing", "Progressing")
    offered: list[tuple[str, Action, bool]] = [
        ("Approve", actions.APPROVE, state == "Paused" and waits),
        ("Resume", actions.RESUME, state == "Paused" and not waits),
        ("Pause", actions.PAUSE, moving),
        ("Abort", actions.ABORT, state not in _ENDED or bool(rollout["warm"])),
    ]
    shown = [(words, action) for words, action, fits in offered if fits and mesh.may(action)]
    if not shown:
        return
    for place, (words, action) in zip(st.columns([1] * len(shown) + [6 - len(shown)]), shown, strict=False):
        kind = "primary" if words == "Approve" else "secondary"
        place.button(
            words, key=f"{words}-{rollout['name']}", on_click=_act, args=(mesh, action, rollout),
            type=kind, width="stretch",  # type: ignore[arg-type]
        )  # fmt: skip


def _steps(rollout: Json, missing: list[str]) -> None:
    over = rollout["state"] == "Promoted"
    rows = []
    for at, step in enumerate(rollout["steps"]):
        mark = (
            tag("done", "good")
            if over or at < rollout["step"]
            else tag("now", "info")
            if at == rollout["step"]
            else ""
        )
        share = "" if step["percent"] is None else f"{step['percent']:g} %"
        what = ", ".join(step["roles"]) or (f"hold {span(step['hold_s'])}" if step["hold_s"] else "")
        rows.append([mark, text(step["kind"]), share, text(what), text(span(step["max_s"]))])
    table(("", "step", "share", "needs", "at most"), rows, numbers=(2,))
    for one in missing:
        st.caption(plain(f"Still lacks: {one}"))


def _evidence(name: str, evidence: Json) -> None:
    metrics = evidence["metrics"]
    if not metrics:
        st.caption("The plan names no metrics.")
        return
    table(
        ("metric", "test", "verdict", "samples", "estimate", "allowed"),
        [
            [
                text(one["name"]), text(one["test"]), tag(one["verdict"], _VERDICT.get(one["verdict"], "")),
                f"{one['samples']:,}",
                number(one["estimate"], 3), number(one["allowed"], 3),
            ]
            for one in metrics
        ],
        numbers=(3, 4, 5),
    )  # fmt: skip
    by_name = {one["name"]: one for one in metrics}
    chosen = st.selectbox("Evidence of", list(by_name), key=f"metric-{name}")
    metric = by_name.get(chosen, metrics[0])
    if not metric["trace"]:
        st.caption(plain(f"No look yet: {metric['reason']}"))
        return
    st.plotly_chart(
        evidence_plot(metric, on_axis),
        config=CONFIG,
        key="evidence",
        alt=f"Evidence of {metric['name']} with its boundary",
    )
    st.caption(plain(metric["reason"]))


def _start(mesh: Mesh, plan: str) -> None:
    _try(lambda: mesh.act(actions.START, name=plan), f"Started {plan}")


def _act(mesh: Mesh, action: Action, shown: Json) -> None:
    """Of the step that is on the page: by now the rollout may be at another."""
    name, note = shown["name"], st.session_state.get("rollouts-note", "")
    words = f"{action.audit.partition('.')[2].capitalize()}: {name}"
    _try(lambda: mesh.act(action, name, note=note, step=shown["step"]), words)


def _try(act: object, words: str) -> None:
    trouble(None)
    try:
        act()  # type: ignore[operator]
    except Refused as refused:
        trouble(refused.message)
        toast(refused.message)
        return
    st.session_state["rollouts-note"] = ""
    tell(words)
