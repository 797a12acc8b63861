"""`hyperstream check`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from mesh.alerts import Policy
from mesh.alerts.digest import duration
from mesh.cli import environment
from mesh.cli.scenarios import scenarios_table
from mesh.rollouts.plan import Plan
from mesh.signals.sensors import Telemetry
from mesh.spec import (
    MeshConfig,
    check_rollouts,
    load_alerts,
    load_features,
    load_learning,
    load_mesh,
    load_pipeline,
    load_prices,
    load_review,
    load_scenarios,
    load_telemetry,
    rollouts_folder,
    scenarios_folder,
)
from mesh.stores.views import FeatureStore


def check(
    config: Annotated[
        Path | None,
        typer.Option(
            help="The folder with models.yaml, routing.yaml and the like [default: config]",
            exists=True,
            file_okay=False,
        ),
    ] = None,
) -> None:
    """Validate the configuration: every mistake with file, line, key and what to write instead.

    Starts nothing and loads no model. Exit status 1 where there is a mistake.

    For example:

    - `hyperstream check`
    - `hyperstream check --config deploy/config`
    """
    settings = environment.settings()
    folder, console = config or Path(settings.config_dir), Console()
    mesh, telemetry = load_mesh(folder, settings), load_telemetry(folder)
    load_pipeline(folder, mesh)
    prices = load_prices(folder)
    learning, review = load_learning(folder), load_review(folder)
    scenarios, policy = load_scenarios(scenarios_folder(folder, settings), telemetry), load_alerts(folder)
    rollouts = check_rollouts(rollouts_folder(folder, settings), folder, mesh)
    console.print(overview(mesh))
    if telemetry.sensors:
        console.print(sensors(telemetry))
    console.print(views(load_features(folder)))
    if policy.rules:
        console.print(alert_rules(policy))
    console.print(f"prices in {prices.currency} of {prices.date}: {prices.source}", highlight=False)
    console.print(f"learning: {learning.model}, versions in {learning.registry}", highlight=False)
    audit, queue = review.audit, review.queue
    console.print(
        f"review: {audit.share:.0%} random audit, {audit.twice:.0%} judged twice, "
        f"leases of {duration(queue.lease_ms)}, {len(queue.reasons)} reasons",
        highlight=False,
    )
    if scenarios:
        console.print(scenarios_table(scenarios.values()))
    if rollouts:
        console.print(rollouts_table(rollouts.values(), mesh))


def overview(mesh: MeshConfig) -> Table:
    """The endpoints and models of a valid configuration."""
    table = Table(title=f"valid; rules {mesh.rules_hash}", title_justify="left", box=None, padding=(0, 2))
    for name in ("endpoint", "routes", "models"):
        table.add_column(name)
    for name, rules in mesh.tables.items():
        mark = f"{name} (default)" if name == mesh.default_endpoint else name
        routes = ", ".join(route.name for route in rules.routes)
        table.add_row(mark, routes, ", ".join(sorted(rules.models)))
    for name, model in mesh.models.items():
        table.add_row(name, "-", f"{model.runtime}, version {model.version}")
    return table


def rollouts_table(plans: Iterable[Plan], mesh: MeshConfig) -> Table:
    """The rollouts of a valid configuration; a candidate may be one that is not hosted yet."""
    table = Table(title="rollouts", title_justify="left", box=None, padding=(0, 2))
    for name in ("rollout", "endpoint", "from", "to", "steps", "metrics"):
        table.add_column(name)
    for plan in plans:
        steps = ", ".join(
            f"{step.kind} {step.percent:g}%" if step.kind in ("shadow", "canary") else step.kind
            for step in plan.steps
        )
        metrics = ", ".join(metric.name for metric in plan.metrics)
        to = plan.candidate if plan.candidate in mesh.models else f"{plan.candidate} (not hosted yet)"
        table.add_row(plan.name, plan.endpoint, plan.primary, to, steps, metrics)
    return table


def sensors(telemetry: Telemetry) -> Table:
    """The sensors of a valid configuration."""
    grid = telemetry.grid
    title = f"windows of {grid.window} steps of {grid.period_ms} ms, each {grid.hop} steps; {len(telemetry.features)} features"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2))
    for name in ("sensor", "unit", "from", "to", "group", "denoise"):
        table.add_column(name)
    for one in telemetry.sensors:
        table.add_row(one.name, one.unit, f"{one.low:g}", f"{one.high:g}", one.group, ", ".join(one.denoise))
    return table


def alert_rules(policy: Policy) -> Table:
    """The alert rules of a valid configuration."""
    budget = policy.budget
    title = f"alerts: {budget.allowance} in {duration(budget.per_ms)}, then a digest"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2))
    for name in ("rule", "severity", "when", "for", "hold off"):
        table.add_column(name)
    for rule in policy.rules:
        table.add_row(
            rule.name, rule.severity, rule.when.text, duration(rule.hold_ms), duration(rule.hold_off_ms)
        )
    return table


def views(store: FeatureStore) -> Table:
    """The views of a valid configuration."""
    table = Table(
        title=f"features, history in {store.history}", title_justify="left", box=None, padding=(0, 2)
    )
    for name in ("view", "columns", "transform", "topic", "ttl"):
        table.add_column(name)
    for view in store.views.values():
        columns = str(len(view.columns)) if view.columns else "none: no sensors in telemetry.yaml"
        table.add_row(view.name, columns, view.transform, view.topic, f"{view.ttl_ms / 1_000:g} s")
    return table
