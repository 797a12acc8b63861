"""Who answers what, and how does a rollout go?"""

from typing import Final

from mesh.dashboards.panel import WINDOW, Dashboard, Panel, Query, Row
from mesh.dashboards.queries import quantile, rate, share

ROUTING: Final = Dashboard(
    "hyperstream-routing",
    "HyperStream: routing and rollouts",
    (
        Row(
            "Who answers",
            (
                Panel(
                    "Rows by route",
                    (Query(rate("mesh_rows_total", "endpoint, route"), "{{endpoint}} {{route}}"),),
                    "short",
                    stacked=True,
                ),
                Panel(
                    "Rows by role",
                    (Query(rate("mesh_rows_total", "endpoint, role"), "{{endpoint}} {{role}}"),),
                    stacked=True,
                ),
                Panel(
                    "Rows by model and version",
                    (Query(rate("mesh_rows_total", "model, version"), "{{model}} {{version}}"),),
                    stacked=True,
                ),
                Panel(
                    "Rate, errors, duration by route, role and version",
                    (
                        Query(
                            f"sum by (endpoint, route, role, model, version) (rate(mesh_rows_total[{WINDOW}]))"
                        ),
                    ),
                    why="Rows a second.",
                    kind="table",
                    width=24,
                ),
            ),
        ),
        Row(
            "How long it takes",
            (
                Panel(
                    "Time to the answer, p95, by route",
                    (
                        Query(
                            quantile(0.95, "mesh_answer_seconds", "endpoint, route, role"),
                            "{{endpoint}} {{route}} {{role}}",
                        ),
                    ),
                    "s",
                    width=12,
                ),
                Panel(
                    "Time to the answer, p95, by version",
                    (
                        Query(
                            quantile(0.95, "mesh_answer_seconds", "model, version"), "{{model}} {{version}}"
                        ),
                    ),
                    "s",
                    width=12,
                ),
            ),
        ),
        Row(
            "What did not go as asked",
            (
                Panel("Degraded rows", (Query(rate("mesh_degraded_rows_total"), "all"),), "short"),
                Panel("Rows without an answer", (Query(rate("mesh_failed_rows_total"), "all"),)),
                Panel(
                    "Canary's share",
                    (Query(share(rate("mesh_rows_total", where='role="canary"'), rate("mesh_rows_total"))),),
                    "percentunit",
                    "Of all rows.",
                ),
            ),
        ),
        Row(
            "Shadows",
            (
                Panel(
                    "Shadow rows",
                    (Query(rate("mesh_shadow_rows_total", "model, outcome"), "{{model}} {{outcome}}"),),
                    width=12,
                ),
                Panel(
                    "Agreement of labels",
                    (
                        Query(
                            f'sum by (model) (rate(mesh_shadow_agreed_rows_total{{agreed="yes"}}[{WINDOW}]))'
                            f" / sum by (model) (rate(mesh_shadow_agreed_rows_total[{WINDOW}]))",
                            "{{model}}",
                        ),
                    ),
                    "percentunit",
                    "Of the rows that were compared.",
                    width=12,
                ),
            ),
        ),
    ),
)
