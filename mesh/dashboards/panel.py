"""Panels and dashboards as values, and as Grafana's JSON.

The JSON model is Grafana's schema version 39 (https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

Kind = Literal["timeseries", "stat", "table", "bargauge"]
Json = dict[str, object]

WINDOW: Final = "$__rate_interval"
"""Grafana's own window for rates: never shorter than four scrapes."""

SOURCE: Final[Json] = {"type": "prometheus", "uid": "${source}"}
_COLUMNS: Final = 24


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, and how its series are named: `{{label}}` is replaced."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """`unit` is one of Grafana's ids. `why` says what to read from it. `width` is of 24 columns."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    why: str = ""
    kind: Kind = "timeseries"
    width: int = 8
    height: int = 8
    stacked: bool = False
    thresholds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """`uid` is in its address and never changes. `constants` are numbers that viewers may change, by name."""

    uid: str
    title: str
    rows: tuple[Row, ...]
    constants: Mapping[str, float] = field(default_factory=dict)

    def panels(self) -> list[Panel]:
        """All of them, in order."""
        return [panel for row in self.rows for panel in row.panels]


def dashboard_json(dashboard: Dashboard) -> Json:
    """As Grafana imports it."""
    panels: list[Json] = []
    y = 0
    for row in dashboard.rows:
        panels.append(_row(row.title, y, len(panels) + 1))
        y += 1
        x = line = 0
        for panel in row.panels:
            if x + panel.width > _COLUMNS:
                x, y, line = 0, y + line, 0
            panels.append(_panel(panel, x, y, len(panels) + 1))
            x, line = x + panel.width, max(line, panel.height)
        y += line
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["hyperstream"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "timezone": "browser",
        "links": [
            {"type": "dashboards", "tags": ["hyperstream"], "title": "HyperStream", "asDropdown": True}
        ],
        "templating": {"list": [_source(), *(_constant(*item) for item in dashboard.constants.items())]},
        "annotations": {"list": [_alerts()]},
        "panels": panels,
    }


def _row(title: str, y: int, number: int) -> Json:
    return {"id": number, "type": "row", "title": title, "collapsed": False, "panels": [],
            "gridPos": {"x": 0, "y": y, "w": _COLUMNS, "h": 1}}  # fmt: skip


def _panel(panel: Panel, x: int, y: int, number: int) -> Json:
    defaults: Json = {"unit": panel.unit, "min": 0, "thresholds": _thresholds(panel.thresholds)}
    if panel.kind == "timeseries":
        stacking = {"mode": "normal" if panel.stacked else "none", "group": "A"}
        defaults["custom"] = {
            "fillOpacity": 20 if panel.stacked else 5,
            "stacking": stacking,
            "showPoints": "never",
        }
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.why,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(panel.kind),
        "targets": [_target(query, place, panel.kind) for place, query in enumerate(panel.queries)],
    }


def _target(query: Query, place: int, kind: Kind) -> Json:
    return {
        "refId": chr(ord("A") + place),
        "datasource": SOURCE,
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "instant": kind in ("table", "bargauge"),
        "range": kind not in ("table", "bargauge"),
        "format": "table" if kind == "table" else "time_series",
    }


def _options(kind: Kind) -> Json:
    if kind == "timeseries":
        legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
        return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    if kind == "table":
        return {"showHeader": True}
    return {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "textMode": "auto"}


def _thresholds(bounds: Sequence[float]) -> Json:
    colours = ("green", "orange", "red")
    steps: list[Json] = [{"color": colours[0], "value": None}]
    steps += [{"color": colours[min(at + 1, 2)], "value": bound} for at, bound in enumerate(bounds)]
    return {"mode": "absolute", "steps": steps}


def _source() -> Json:
    return {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _constant(name: str, value: float) -> Json:
    text = f"{value:g}"
    current = {"text": text, "value": text}
    return {
        "name": name,
        "label": name.replace("_", " "),
        "type": "textbox",
        "query": text,
        "current": current,
    }


def _alerts() -> Json:
    return {
        "name": "Alerts",
        "enable": True,
        "datasource": SOURCE,
        "expr": 'ALERTS{alertname=~"Mesh.*", alertstate="firing"}',
        "titleFormat": "{{alertname}}",
        "textFormat": "{{model_id}}{{model}}{{topic}}",
        "iconColor": "red",
    }
