"""Cost: what the mesh uses, at the prices of prices.yaml. An estimate."""

from typing import Final

import streamlit as st

from serve.console.api import Json, Mesh, Refused
from serve.console.look import empty, live, number, plain, table, text
from serve.console.plots import CONFIG, bars_plot
from serve.console.times import span

REFRESH_S: Final = 10.0


def show(mesh: Mesh) -> None:
    """The page."""
    st.title("Cost")
    live(REFRESH_S, lambda: _bill(mesh))


def _bill(mesh: Mesh) -> None:
    try:
        found = mesh.get("/mesh/cost")
    except Refused as refused:
        if refused.status == 404:
            empty("This mesh tells no costs", "hyperstream cost computes them from its metrics.")
            return
        raise
    if not found["lines"]:
        empty("Nothing was measured yet", "Costs are those of an interval: look again in a few seconds.")
        return
    currency = found["currency"]
    _totals(found, currency)
    left, right = st.columns([1, 1.2], gap="medium")
    with left:
        st.subheader("Who costs what, an hour")
        st.plotly_chart(
            bars_plot(found["by_owner"], currency), config=CONFIG, key="bars", alt="Cost an hour by owner"
        )
    with right:
        table(
            ("what", "uses", "amount", "an hour"),
            [
                [
                    text(one["owner"]),
                    text(one["item"]),
                    f"{number(one['amount'])} {text(one['unit'])}",
                    number(one["cost_per_hour"], 3),
                ]
                for one in found["lines"]
            ],
            numbers=(2, 3),
        )
    st.caption(
        plain(
            f"An estimate over the last {span(found['seconds'])}, at level L{found['level']}. "
            f"Prices of {found['date']}: {found['source']}."
        )
    )


def _totals(found: Json, currency: str) -> None:
    shown = {
        "An hour": found["per_hour"], "1,000 records": found["per_1000_records"], "An alert": found["per_alert"],
    }  # fmt: skip
    for place, (name, value) in zip(st.columns(len(shown)), shown.items(), strict=True):
        place.metric(name, "not known" if value is None else f"{number(value, 3)} {currency}")
