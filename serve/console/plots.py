"""Plots: the past of a signal, evidence with its boundary, shares with intervals. Each can be zoomed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import plotly.graph_objects as go
from plotly.subplots import make_subplots

Json = Any
At = Callable[[str], str]
"""A time of the API as the axis shows it."""
COLOURS: Final = ("#0f8a80", "#7c6ff0", "#d97706", "#2f80ed")
BAD: Final = "#d92d20"
CONFIG: Final = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d"], "scrollZoom": False}
_MARGIN: Final = {"l": 8, "r": 8, "t": 8, "b": 8}


def signal_plot(case: Json, names: Sequence[str], at_axis: At, height: int = 290) -> go.Figure:
    """The features `names` over time, with the row, the alert and past labels; below, the score with its threshold."""
    case = _on_axis(case, at_axis)
    signal, item, said = case["signal"], case["item"], case["item"]["prediction"]
    scored = said is not None and said["score"] is not None
    rows = len(names) + int(scored)
    figure = make_subplots(rows=max(rows, 1), cols=1, shared_xaxes=True, vertical_spacing=0.04)
    for at, name in enumerate(names):
        figure.add_trace(
            go.Scatter(
                x=signal["times"], y=signal["series"][name], name=name,
                mode="lines+markers" if len(signal["times"]) < 3 else "lines",
                line={"color": COLOURS[at % len(COLOURS)], "width": 1.6},
            ),
            row=at + 1, col=1,
        )  # fmt: skip
        figure.update_yaxes(title={"text": name, "font": {"size": 10}}, row=at + 1, col=1, nticks=4)
    if scored:
        _score(figure, case, rows)
    _marks(figure, case, rows)
    figure.add_vline(x=item["row_time"], line={"color": BAD, "width": 1, "dash": "dot"}, row="all", col=1)
    return _finished(figure, height)


def _on_axis(case: Json, at: At) -> Json:
    """The case with its times as the axis shows them."""
    signal, alert = case["signal"], case["alert"]
    return {
        "item": {**case["item"], "row_time": at(case["item"]["row_time"])},
        "signal": signal and {**signal, "times": [at(one) for one in signal["times"]]},
        "alert": alert and {"since": at(alert["since"]), "last_at": at(alert["last_at"])},
        "past": [{**one, "row_time": at(one["row_time"])} for one in case["past"]],
    }


def _score(figure: go.Figure, case: Json, row: int) -> None:
    said, times = case["item"]["prediction"], case["signal"]["times"] if case["signal"] else []
    figure.add_trace(
        go.Scatter(
            x=[case["item"]["row_time"]], y=[said["score"]], name="score", mode="markers",
            marker={"color": BAD, "size": 9, "symbol": "diamond"},
        ),
        row=row, col=1,
    )  # fmt: skip
    figure.update_yaxes(
        title={"text": "score", "font": {"size": 10}}, row=row, col=1, nticks=4, rangemode="tozero"
    )
    if said["threshold"] is not None:
        ends = [times[0], times[-1]] if len(times) > 1 else [case["item"]["row_time"]]
        figure.add_trace(
            go.Scatter(
                x=ends, y=[said["threshold"]] * len(ends), name="threshold", mode="lines" if len(ends) > 1 else "markers",
                line={"dash": "dash", "color": "#8a8f98", "width": 1.2},
            ),
            row=row, col=1,
        )  # fmt: skip


def _marks(figure: go.Figure, case: Json, rows: int) -> None:
    alert = case["alert"]
    if alert is not None:
        figure.add_vrect(
            x0=alert["since"],
            x1=alert["last_at"],
            fillcolor=BAD,
            opacity=0.12,
            line_width=0,
            row="all",
            col=1,
        )
    times = case["signal"]["times"] if case["signal"] else []
    for one in case["past"]:
        if times and times[0] <= one["row_time"] <= times[-1]:
            figure.add_vline(
                x=one["row_time"], line={"color": "#8a8f98", "width": 1}, row="all" if rows > 1 else 1, col=1,
            )  # fmt: skip
            figure.add_annotation(
                x=one["row_time"], y=1, yref="y domain", text=one["label"], showarrow=False, font={"size": 10}, xanchor="left",
            )  # fmt: skip


def series_plot(
    times: Sequence[str], series: Mapping[str, Sequence[float | None]], height: int = 320
) -> go.Figure:
    """Series over one axis of time, one below the other."""
    figure = make_subplots(rows=max(1, len(series)), cols=1, shared_xaxes=True, vertical_spacing=0.05)
    for at, (name, values) in enumerate(series.items()):
        figure.add_trace(
            go.Scatter(x=list(times), y=list(values), name=name, mode="lines+markers", marker={"size": 4},
                       line={"color": COLOURS[at % len(COLOURS)]}),
            row=at + 1, col=1,
        )  # fmt: skip
        figure.update_yaxes(title={"text": name, "font": {"size": 10}}, row=at + 1, col=1, nticks=4)
    return _finished(figure, height)


def evidence_plot(metric: Json, at_axis: At, height: int = 230) -> go.Figure:
    """A metric's evidence at each look: of a bet, against its boundaries; else the bounds of its effect and what is allowed."""
    trace = metric["trace"]
    times = [at_axis(one["at"]) for one in trace]
    figure = go.Figure()
    bet = metric["failure_boundary"] is not None
    words = ("evidence of failure", "evidence of success") if bet else ("lower bound", "upper bound")
    for name, key, colour in ((words[0], "failure", BAD), (words[1], "success", COLOURS[0])):
        figure.add_trace(
            go.Scatter(
                x=times,
                y=[one[key] for one in trace],
                name=name,
                mode="lines+markers",
                marker={"size": 4},
                line={"color": colour},
            )
        )
    limits = (
        (
            ("boundary of failure", metric["failure_boundary"], BAD),
            ("boundary of success", metric["success_boundary"], COLOURS[0]),
        )
        if bet
        else (("allowed", metric["allowed"], "#8a8f98"),)
    )
    for name, value, colour in limits:
        if value is not None and times:
            figure.add_trace(
                go.Scatter(
                    x=[times[0], times[-1]],
                    y=[value] * 2,
                    name=name,
                    mode="lines",
                    line={"dash": "dash", "color": colour, "width": 1.2},
                )
            )
    finished = _finished(figure, height)
    finished.update_layout(
        showlegend=True, legend={"orientation": "h", "y": 1.15, "x": 0, "font": {"size": 11}}
    )
    return finished


def estimates_plot(found: Mapping[str, Json], height: int = 210) -> go.Figure:
    """Shares with their intervals of 95 %, in percent, one below the other; those without a value are left out."""
    known = {name: one for name, one in found.items() if one["value"] is not None}
    names, values = list(known), [100 * one["value"] for one in known.values()]
    figure = go.Figure(
        go.Scatter(
            x=values, y=names, mode="markers", marker={"size": 9, "color": COLOURS[0]},
            error_x={
                "type": "data", "symmetric": False, "thickness": 2, "color": "#8a8f98",
                "array": [100 * one["high"] - at for one, at in zip(known.values(), values, strict=True)],
                "arrayminus": [at - 100 * one["low"] for one, at in zip(known.values(), values, strict=True)],
            },
        )
    )  # fmt: skip
    figure.update_xaxes(range=[0, 100], ticksuffix=" %")
    figure.update_yaxes(autorange="reversed")
    return _finished(figure, height)


def bars_plot(shares: Mapping[str, float], unit: str, height: int = 260) -> go.Figure:
    """One bar a name, the longest first."""
    ordered = sorted(shares.items(), key=lambda one: one[1])
    figure = go.Figure(
        go.Bar(
            x=[value for _, value in ordered], y=[name for name, _ in ordered], orientation="h",
            marker={"color": COLOURS[0]}, text=[f"{value:.4g} {unit}" for _, value in ordered], textposition="auto",
        )
    )  # fmt: skip
    return _finished(figure, height)


def _finished(figure: go.Figure, height: int) -> go.Figure:
    figure.update_layout(height=height, margin=_MARGIN, showlegend=False, hovermode="x unified")
    return figure
