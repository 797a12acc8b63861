"""Routes: what share of the rows goes where, canaries, and where shadows disagree."""

from typing import Final

import streamlit as st

from serve.console.api import Json, Mesh
from serve.console.look import empty, facts, live, number, plain, share, table, tag, text, time_of

REFRESH_S: Final = 3.0
EXAMPLES: Final = 20
_ROLE: Final = {"canary": "warning", "fallback": "bad"}


def show(mesh: Mesh) -> None:
    """The page."""
    st.title("Routes")
    live(REFRESH_S, lambda: _rules(mesh))
    traffic, shadows, written = st.tabs(["Where rows go", "Shadows", "Rules as written"])
    with traffic:
        live(REFRESH_S, lambda: _traffic(mesh))
    with shadows:
        live(REFRESH_S, lambda: _shadows(mesh))
    with written:
        _written(mesh)


def _rules(mesh: Mesh) -> None:
    found = mesh.get("/mesh/rules")
    revision = found["revision"]
    whole = found["taken"] == found["engines"] > 0
    facts(
        {
            "version": f"<strong>{revision['version']}</strong>",
            "by": text(revision["actor"]),
            "from": text(revision["source"]),
            "": time_of(revision["at"]),
            "taken by": tag(
                f"{found['taken']} of {found['engines']} processes", "good" if whole else "warning"
            ),
        }
    )
    if found["refused"]:
        st.warning(
            plain(
                f"The files were refused, version {found['refused']['version']} stands: {found['refused']['error']}"
            )
        )


def _traffic(mesh: Mesh) -> None:
    figures = mesh.get("/mesh/status")["figures"]
    if figures is None:
        empty("The scoreboard does not answer", "Rows are answered all the same; figures come back with it.")
        return
    routes = figures["routes"]
    if not routes:
        empty("No rows were answered yet", "Send some: hyperstream send, or make run-sim.")
        return
    totals: dict[str, int] = {}
    for one in routes:
        totals[one["endpoint"]] = totals.get(one["endpoint"], 0) + one["rows"]["total"]
    table(
        ("endpoint", "route", "role", "model", "share", "rows", "rows/s"),
        [
            [
                text(one["endpoint"]), text(one["route"]), tag(one["role"], _ROLE.get(one["role"], "")),
                text(one["model"]), share(one["rows"]["total"] / totals[one["endpoint"]] if totals[one["endpoint"]] else None),
                f"{one['rows']['total']:,}", number(one["rows"]["per_s"], 3),
            ]
            for one in routes
        ],
        numbers=(4, 5, 6),
    )  # fmt: skip


def _shadows(mesh: Mesh) -> None:
    found = mesh.get("/mesh/shadows", examples=EXAMPLES)
    if not found:
        empty(
            "Nothing is compared",
            "Give a route a shadow: [MODEL] in config/routing.yaml, or start a rollout.",
        )
        return
    table(
        (
            "endpoint",
            "route",
            "primary",
            "shadow",
            "compared",
            "disagree",
            "failed",
            "dropped",
            "mean score difference",
            "p95 ms",
        ),
        [_compared(one) for one in found],
        numbers=(4, 5, 6, 7, 8, 9),
    )
    examples = [example for one in found for example in one["disagreements"]]
    if examples:
        st.subheader("Rows they disagree on")
        table(
            ("when", "row", "key", "primary says", "shadow says"),
            [_example(one) for one in sorted(examples, key=lambda one: one["at"], reverse=True)[:EXAMPLES]],
        )


def _compared(one: Json) -> list[str]:
    rows, latency = one["rows"], one["latency_ms"]
    return [
        text(one["endpoint"]), text(one["route"]), text(one["primary"]), text(one["shadow"]), f"{rows['compared']:,}",
        share(rows["disagreement"]), f"{rows['failed']:,}", f"{rows['dropped']:,}", number(one["score"]["mean"]),
        f"{number(latency['primary']['p95'], 3)} / {number(latency['shadow']['p95'], 3)}",
    ]  # fmt: skip


def _example(one: Json) -> list[str]:
    def said(side: Json) -> str:
        return text(
            f"{side['model']}@{side['version']}: {side['label']}"
            + (f" ({number(side['score'])})" if side["score"] is not None else "")
        )

    return [time_of(one["at"]), text(one["id"]), text(one["key"]), said(one["primary"]), said(one["shadow"])]


def _written(mesh: Mesh) -> None:
    found = mesh.get("/mesh/rules")
    one, two = st.columns(2)
    one.caption("routing.yaml")
    one.code(found["routing"], language="yaml", height=320)
    two.caption("models.yaml")
    two.code(found["models"], language="yaml", height=320)
    st.caption("Changed by saving the files, with hyperstream apply, or by PUT /mesh/rules.")
