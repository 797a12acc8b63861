"""Scenarios as people read them."""

from collections.abc import Iterable

from rich.table import Table

from mesh.simulation.scenario import Scenario


def scenarios_table(scenarios: Iterable[Scenario]) -> Table:
    """Each scenario, how long it runs and what it shows."""
    table = Table(title="scenarios", title_justify="left", box=None, padding=(0, 2))
    table.add_column("scenario", no_wrap=True)
    table.add_column("lasts", justify="right", no_wrap=True)
    table.add_column("what it does", ratio=1)
    for one in scenarios:
        table.add_row(one.name, f"{one.duration_s:g} s", one.description)
    return table
