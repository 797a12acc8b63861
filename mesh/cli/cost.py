"""`hyperstream cost`."""

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from mesh.cli import environment
from mesh.cli.metrics import own_metrics, sample_of, scrape
from mesh.cli.stored import stored_gb
from mesh.costs import Bill, bill, usage_between
from mesh.spec import load_mesh, load_prices, load_telemetry


def cost(
    *,
    interval: Annotated[
        float, typer.Option(min=1, max=3600, help="Seconds between the two looks at the metrics.")
    ] = 30.0,
    precision: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="The share of alerts that are true, for the cost of a true one."),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(help="The metrics [default: http://MESH_HOST:ML_PROMETHEUS_PORT/metrics, port 9464]"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Say what a running mesh costs: what it used over an interval, at the prices of prices.yaml. An estimate.

    For example:

    - `hyperstream cost`
    - `hyperstream cost --interval 300 --precision 0.8 --json`
    """
    settings = environment.settings()
    folder, address = Path(settings.config_dir), url or own_metrics(settings)
    prices, sampling = load_prices(folder), load_telemetry(folder).sampling
    gpus = {name: model.num_gpus for name, model in load_mesh(folder, settings).models.items()}
    before = sample_of(scrape(address))
    time.sleep(interval)
    usage = usage_between(before, sample_of(scrape(address)), gpus, stored_gb(settings))
    found = bill(usage, prices, precision)
    if json:
        document = {**asdict(found), "by_owner": found.by_owner, "sampling": sampling.enabled}
        sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n")
        return
    console = Console()
    console.print(cost_table(found, sampling.enabled))
    for words in totals(found):
        console.print(words, highlight=False)


def cost_table(found: Bill, sampling: bool) -> Table:
    """What each thing uses and costs."""
    mode = f"level L{found.level}, sampling {'on' if sampling else 'off'}"
    table = Table(
        title=f"estimate over {found.seconds:.0f} s, {mode}", title_justify="left", box=None, padding=(0, 2)
    )
    for name in ("what", "uses", "amount", "an hour"):
        table.add_column(name, justify="right" if name in ("amount", "an hour") else "left")
    for line in found.lines:
        money = f"{line.cost_per_hour:.4f} {found.prices.currency}"
        table.add_row(line.owner, line.item, f"{line.amount:.3f} {line.unit}", money)
    return table


def totals(found: Bill) -> list[str]:
    """The sums, and whose prices they were made with."""
    currency = found.prices.currency
    parts = {
        "an hour": found.per_hour,
        "1,000 records": found.per_1000_records,
        "an alert": found.per_alert,
        "a true alert": found.per_true_alert,
    }
    words = [
        f"{name}: {'not known' if value is None else f'{value:.6f} {currency}'}"
        for name, value in parts.items()
    ]
    return [*words, f"prices of {found.prices.date}: {found.prices.source}"]
