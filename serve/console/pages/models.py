"""Models: replicas, versions, latency, breakers, what drifts, and how often people override them."""

from typing import Final

import streamlit as st

from serve.console.api import Json, Mesh, Refused
from serve.console.look import empty, facts, live, number, plain, share, table, tag, text

REFRESH_S: Final = 3.0
_BREAKER: Final = {0: ("closed", "good"), 1: ("half open", "warning"), 2: ("open", "bad")}


def show(mesh: Mesh) -> None:
    """The page."""
    st.title("Models")
    live(REFRESH_S, lambda: _models(mesh))
    _drift(mesh)
    _overrides(mesh)


def _models(mesh: Mesh) -> None:
    status = mesh.get("/mesh/status")
    if not status["models"]:
        empty("No models are hosted", "Declare one in config/models.yaml, or put it with hyperstream apply.")
        return
    figures = status["figures"]
    told = {} if figures is None else {one["model"]: one for one in figures["models"]}
    if figures is None:
        st.warning("The scoreboard does not answer: replicas are known, figures are not.")
    table(
        (
            "model",
            "version",
            "runtime",
            "replicas",
            "calls/s",
            "rows/s",
            "p50 ms",
            "p95 ms",
            "failed",
            "breaker",
            "nodes",
        ),
        [_row(name, one, told.get(name)) for name, one in sorted(status["models"].items())],
        numbers=(3, 4, 5, 6, 7, 8),
    )
    waiting = [name for name, one in status["endpoints"].items() if not one["ready"]]
    marks = {
        "endpoints": tag(f"{len(status['endpoints'])} ready", "good")
        if not waiting
        else tag(f"not ready: {', '.join(waiting)}", "bad")
    }
    facts(
        marks
        | {
            "rows waiting": text(status["rows_waiting"]),
            "rules": text(status["rules"]),
            "data path": text(status["data_path"]),
        }
    )


def _row(name: str, model: Json, told: Json | None) -> list[str]:
    head = [
        text(name),
        text(model["version"]),
        text(model["runtime"]),
        tag(model["replicas"], "good" if model["replicas"] else "bad"),
    ]
    nodes = text(", ".join(one[:12] for one in model["nodes"]))
    if told is None:
        return [*head, "—", "—", "—", "—", "—", "—", nodes]
    word, kind = _BREAKER[told["breaker"]]
    call = told["call"]
    return [
        *head, number(told["calls"]["per_s"], 3), number(told["rows"]["per_s"], 3),
        *(number(None if one is None else one * 1e3, 3) for one in (call["p50"], call["p95"])),
        f"{told['failed_calls']['total']:,}", tag(word, kind), nodes,
    ]  # fmt: skip


def _drift(mesh: Mesh) -> None:
    """Inputs and scores that are watched; what changed lately comes first."""
    st.subheader("Drift of inputs and scores")
    try:
        found = mesh.get("/mesh/drift")
    except Refused as refused:
        st.caption(plain(f"Not known: {refused.message}"))
        return
    drifting = {one["stream"]: one for one in found["drifting"]}
    watched = {one["stream"]: one for one in found["watched"] or ()}
    if not (drifting or watched):
        st.caption("Nothing is watched: the telemetry chain watches its sensors and scores once it runs.")
        return
    table(
        ("stream", "", "mean now", "alarms", "what changed"),
        [
            _stream(one, watched.get(one), drifting.get(one))
            for one in [*drifting, *sorted(watched.keys() - drifting)]
        ],
        numbers=(2, 3),
    )
    if drifting:
        st.caption("Resolve an alarm's alert once it is looked into: rollouts that name drift wait for that.")


def _stream(name: str, watched: Json | None, alarm: Json | None) -> list[str]:
    return [
        text(name),
        tag("drifts", "warning") if alarm else tag("steady", "good"),
        number(None if watched is None else watched["mean"], 4),
        "—" if watched is None else f"{watched['alarms']:,}",
        text(alarm["summary"]) if alarm else "",
    ]


def _overrides(mesh: Mesh) -> None:
    """What people say of them; the override rate is what drifts first."""
    st.subheader("What people say of them, last 7 days")
    try:
        found = mesh.get("/review/quality")["figures"]["overrides_by_model"]
    except Refused as refused:
        st.caption(plain(f"Not known: {refused.message}"))
        return
    if not found:
        st.caption("Nobody has decided on an answer of theirs yet: triage gives decisions.")
        return
    table(
        ("model", "override rate", "interval of 95 %", "decisions"),
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
