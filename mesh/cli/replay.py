"""`hyperstream replay`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from mesh.cli import environment
from mesh.cli.attributes import parse_setting
from mesh.cli.feeding import Feed, rows_of
from mesh.cli.pacing import pace_of
from mesh.cli.progress import SendingBar
from mesh.cli.table import Columns, Table


def replay(
    file: Annotated[Path, typer.Argument(help="A CSV file with a header, plain or .gz.", dir_okay=False)],
    *,
    speed: Annotated[
        str | None,
        typer.Option(help="1x as it was recorded, 50x fifty times faster, or max. Needs --timestamp."),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Records a second, instead of --speed.")
    ] = None,
    timestamp: Annotated[
        str | None, typer.Option(help="The column with the time: ISO 8601 or seconds.")
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(help="Columns of the input row, a,b,c [default: all other columns of numbers]"),
    ] = None,
    key: Annotated[str | None, typer.Option(help="The column whose value is the Kafka key.")] = None,
    attributes: Annotated[str | None, typer.Option(help="Columns that rules may read, a,b.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="An attribute, name=value, or for a share: rollout=true:30%."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="model_id: an endpoint or a model [default: the default one]")
    ] = None,
    topic: Annotated[str | None, typer.Option(help="The topic [default: KAFKA_INFERENCE_TOPIC]")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many records.")] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Begin again at the end.")] = False,
) -> None:
    """Send any CSV file to Kafka as records.

    The demo broker is never sent more than its reader keeps up with; a real one takes what it is given.

    For example:

    - `hyperstream replay data/cmapss_fd001_sample.csv.gz --key unit --attributes unit,cycle --rate 500`
    - `hyperstream replay temperature.csv --timestamp timestamp --features value --speed 50x`
    - `hyperstream replay readings.csv --model identity --set tenant=blue --set rollout=true:30%`
    """
    settings = environment.settings()
    columns = Columns(_names(features), timestamp, key, _names(attributes))
    table = Table(file, columns, [parse_setting(text) for text in set_ or []], model)
    pace = pace_of(speed, rate, timestamp is not None)
    used = table.check()
    console = Console(stderr=True)
    console.print(f"features: {', '.join(used)}", highlight=False)
    lines = table.count()
    total = limit if loop else min(lines, limit or lines)
    running = Feed(settings, topic or settings.kafka_inference_topic, pace)
    send_all(running, table, console, loop=loop, limit=limit, total=total)


def send_all(
    feed: Feed, table: Table, console: Console, *, loop: bool, limit: int | None, total: int | None
) -> None:
    """Send `table` with a progress bar, then say in one line what came of it."""
    with SendingBar(feed, total, console) as bar:
        feed.progress = bar
        try:
            feed.run(rows_of(table, loop, limit))
        except KeyboardInterrupt:
            console.print("stopped")
    where = f"{feed.topic} at {feed.settings.kafka_bootstrap_servers}"
    console.print(f"sent {feed.sent:,} records to {where}, {bar.rate:,.0f}/s", highlight=False)
    if table.skipped.count:
        console.print(
            f"skipped {table.skipped.count:,} lines; the first: {table.skipped.first}", highlight=False
        )


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())
