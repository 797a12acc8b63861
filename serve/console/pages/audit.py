"""Audit: who changed what, whether the log is whole, and a copy of it."""

import json
from typing import Any, Final

import streamlit as st

from serve.console.api import Json, Mesh, Refused
from serve.console.look import cursors, empty, failed, table, tag, text, time_of

PAGE: Final = 25
EXPORT: Final = 5_000
_EACH: Final = 500


def show(mesh: Mesh) -> None:
    """The page."""
    st.title("Audit")
    actor, action, target, check = st.columns([1, 1, 1.4, 1], vertical_alignment="bottom")
    wanted = {
        "actor": actor.text_input("Who", placeholder="anybody").strip() or None,
        "action": action.text_input("What", placeholder="review.*").strip() or None,
        "target": target.text_input("Of what", placeholder="alert:*").strip() or None,
    }
    if check.button(
        "Is it whole?", width="stretch", help="Computes every hash again: seconds for a long log"
    ):
        _verify(mesh)
    before = cursors(wanted)
    page = mesh.get("/audit", limit=PAGE, cursor=before[-1] if before else None, **wanted)
    if not page["entries"]:
        empty(
            "No entries",
            "Nothing was changed yet, or nothing fits what you look for; an ending * stands for anything.",
        )
        return
    table(
        ("", "when", "who", "role", "what", "of what", "said"),
        [_row(one) for one in page["entries"]],
        numbers=(0,),
    )
    newer, older, _, export = st.columns([1, 1, 2.5, 1.5])
    newer.button("Newer", disabled=not before, on_click=_newer, args=(before,), width="stretch")
    older.button(
        "Older", disabled=not page["cursor"], on_click=lambda: before.append(page["cursor"]), width="stretch"
    )
    _export(mesh, wanted, export)


def _row(one: Json) -> list[str]:
    detail = json.dumps(one["detail"], ensure_ascii=False) if one["detail"] else ""
    short = detail if len(detail) <= 140 else detail[:140] + "…"
    said = f'<span title="{text(detail[:2000])}">{text(short)}</span>' if detail else ""
    kind = "bad" if one["action"].endswith(".failed") else ""
    return [
        str(one["seq"]),
        time_of(one["at"]),
        text(one["actor"]),
        text(one["role"]),
        tag(one["action"], kind),
        text(one["target"]),
        said,
    ]


def _verify(mesh: Mesh) -> None:
    with st.spinner("Computing every hash again"):
        found = mesh.get("/audit/verify")
    if found["whole"]:
        st.success(
            f"Whole: {found['entries']:,} entries, the head is {found['head_seq']}:{found['head_hash'][:16]}…"
        )
    else:
        failed(f"Not whole at entry {found['at_seq']}: {found['fault']}")


def _export(mesh: Mesh, wanted: dict[str, str | None], place: Any) -> None:
    """What fits the filters, as a file; the whole log in checkable form comes from `hyperstream audit export`."""

    def lines() -> bytes:
        found: list[Json] = []
        cursor: str | None = None
        while len(found) < EXPORT:
            page = mesh.get("/audit", limit=_EACH, cursor=cursor, **wanted)
            found += page["entries"]
            cursor = page["cursor"]
            if cursor is None:
                break
        return b"".join(json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in found[:EXPORT])

    try:
        place.download_button(
            "Export", lines, "audit.jsonl", "application/jsonl", on_click="ignore", width="stretch",
            help=f"The newest {EXPORT:,} entries that fit",
        )  # fmt: skip
    except Refused as refused:
        failed(refused.message)


def _newer(before: list[str]) -> None:
    before.pop()
