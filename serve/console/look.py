"""How things look: styles, empty states, errors, tables, and parts of a page that refresh themselves."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Final

import streamlit as st

from serve.console.api import Refused
from serve.console.times import axis, time_html, zone

CSS: Final = """<style>
.block-container{padding:3.4rem 1.6rem 1rem;max-width:1500px}
[data-testid="stHeader"]{height:2.6rem;background:transparent}
section[data-testid="stSidebar"]{width:13.5rem!important;min-width:13.5rem!important}
[data-testid="stSidebarUserContent"]{padding:.8rem 1rem}
h1{font-size:1.5rem!important;padding:0 0 .4rem!important}
h2,h3{font-size:1.05rem!important;padding:.2rem 0!important}
[data-testid="stVerticalBlock"]{gap:.6rem}
[data-testid="stMetricValue"]{font-size:1.35rem}
.empty{border:1px dashed #8886;border-radius:12px;padding:2rem;text-align:center;margin:.5rem 0}
.empty b{display:block;font-size:1.05rem;margin-bottom:.3rem}
table.rows{width:100%;border-collapse:collapse;font-size:.85rem;margin:0}
table.rows th{font-weight:600;text-align:left;opacity:.7;border:0;border-bottom:1px solid #8885;white-space:nowrap}
table.rows td{border:0;border-bottom:1px solid #8882;vertical-align:top;overflow-wrap:break-word}
table.rows th,table.rows td{padding:.28rem .6rem .28rem 0}
table.rows .number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.tag{border-radius:999px;padding:.05rem .6rem;font-size:.78rem;font-weight:600;white-space:nowrap;background:#8883}
.critical,.bad{background:#d92d2026;color:#e5483b}
.warning{background:#dc680326;color:#d9730d}
.info{background:#2e90fa26;color:#2780e3}
.good{background:#0f9f8f26;color:#0f9484}
time{text-decoration:underline dotted #8888;text-underline-offset:3px;cursor:help;white-space:nowrap}
.head{display:flex;gap:.6rem;align-items:center;flex-wrap:wrap;font-size:.9rem;line-height:1.6}
.head strong{font-size:1.1rem}
ul.why{margin:0;padding-left:1.1rem;font-size:.9rem;line-height:1.65}
a.button{display:inline-block;background:#0f766e;color:#fff!important;padding:.45rem 1rem;border-radius:8px;text-decoration:none}
</style>"""


_PUNCTUATION: Final = re.compile(r"[!-/:-@\[-`{-~]")
"""What Markdown may take for a mark, and takes as it is behind a backslash."""


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def time_of(text: str | None) -> str:
    """HTML of a time: local to the browser, UTC on hover."""
    return time_html(text, zone(st.context.timezone), now())


def on_axis(text: str) -> str:
    """A time for a plot, local to the browser."""
    return axis(text, zone(st.context.timezone))


def empty(what: str, todo: str) -> None:
    """Nothing to show, and what to do about it."""
    st.html(f'<div class="empty" role="status"><b>{escape(what)}</b>{escape(todo)}</div>')


def plain(said: object) -> str:
    """Any text as Markdown that shows it as it is: what an asset is called makes no pictures, links or formulas."""
    return _PUNCTUATION.sub(r"\\\g<0>", str(said))


def failed(message: str) -> None:
    """What failed, in the API's own words."""
    st.error(plain(message), icon=":material/error:")


def tag(text: object, kind: str = "") -> str:
    """HTML of a small mark; `kind` is critical, warning, info, good or bad."""
    return f'<span class="tag {escape(kind)}">{escape(str(text))}</span>'


def number(value: float | None, digits: int = 4) -> str:
    """To so many significant digits, a dash for none; large ones whole."""
    if value is None:
        return "—"
    shown = f"{value:.{digits}g}"
    return f"{value:,.0f}" if abs(float(shown)) >= min(1_000, 10**digits) else shown


def share(value: float | None) -> str:
    """A share as percent, a dash for none."""
    return "—" if value is None else f"{100 * value:.1f} %"


def text(value: object) -> str:
    """HTML of any text."""
    return escape("—" if value is None or value == "" else str(value))


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> None:
    """A table of cells that are HTML already (`text`, `tag`, `time_of`); `numbers` are the columns set to the right."""
    kind = dict.fromkeys(numbers, ' class="number"')
    head = "".join(f"<th{kind.get(at, '')}>{escape(name)}</th>" for at, name in enumerate(columns))
    body = "".join(
        "<tr>" + "".join(f"<td{kind.get(at, '')}>{cell}</td>" for at, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    st.html(f'<table class="rows"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>')


def facts(found: Mapping[str, str]) -> None:
    """Names and values (HTML) in a row."""
    st.html(
        '<div class="head">'
        + "".join(f"<span>{escape(name)} {value}</span>" for name, value in found.items())
        + "</div>"
    )


def live(seconds: float, part: Callable[[], None]) -> None:
    """Show a part that asks again by itself every so often; what people type elsewhere on the page stays as it is.

    A refusal is shown in place of the part, and goes when the API answers again.
    """

    @st.fragment(run_every=seconds)
    def again() -> None:
        told()  # a click inside runs this part alone
        try:
            part()
        except Refused as refused:
            failed(refused.message)

    again()


def tell(message: str) -> None:
    """A word about what was done, at the next run of the page."""
    st.session_state["told"] = message


def told() -> None:
    """Show what `tell` was given."""
    message = st.session_state.pop("told", None)
    if message:
        st.toast(plain(message))


def trouble(message: str | None) -> None:
    """Keep what failed in an action until the next action; None forgets it."""
    st.session_state["trouble"] = message


def toast(message: str) -> None:
    """What failed, for a part of the page that alone runs again."""
    st.toast(plain(message), icon=":material/error:")


def arrived(page: str) -> None:
    """Whoever comes to a page finds no error of another there, and begins with what is newest."""
    if st.session_state.get("page") != page:
        st.session_state["page"] = page
        st.session_state.pop("cursors", None)
        trouble(None)


def cursors(wanted: Mapping[str, str | None]) -> list[str]:
    """Where the pages began that led to the present one of a list; none for the first one of what is `wanted` now."""
    kept: tuple[Mapping[str, str | None], list[str]] = st.session_state.get("cursors", ({}, []))
    if kept[0] != wanted:
        kept = (dict(wanted), [])
    st.session_state["cursors"] = kept
    return kept[1]


def troubled() -> None:
    """Show what `trouble` was given."""
    message = st.session_state.get("trouble")
    if message:
        failed(message)
