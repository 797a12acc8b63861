"""`hyperstream replay`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from mesh.cli import environment
from mesh.cli.attributes import parse_setting
from mesh.cli.feeding import Feed, rows_of
from mesh.cli.history_table import DELTA, FIRST_MS, LAST_MS, HistoryTable, history_table
from mesh.cli.pacing import pace_of
from mesh.cli.progress import SendingBar
from mesh.cli.row_gate import RowGate
from mesh.cli.table import Columns, RecordTable, Table
from mesh.errors import InvalidInput
from mesh.settings import Settings
from mesh.spec import load_telemetry
from mesh.stores.times import parse_time


def replay(
    file: Annotated[
        str,
        typer.Argument(
            help="A CSV file with a header, plain or .gz; or delta:PATH, a Delta table of features, delta: a view's own."
        ),
    ],
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
    sampling: Annotated[
        bool,
        typer.Option("--sampling", help="Leave out rows that say nothing new; needs --timestamp."),
    ] = False,
    view: Annotated[
        str, typer.Option(help="Of a Delta table: the view of features.yaml that it is of.")
    ] = "telemetry",
    start: Annotated[
        str | None, typer.Option("--from", help="Of a Delta table: event time from which on.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="Of a Delta table: event time before which.")
    ] = None,
) -> None:
    """Send any CSV file, or the history of a view, to Kafka as records.

    The demo broker is never sent more than its reader keeps up with; a real one takes what it is given.

    For example:

    - `hyperstream replay data/cmapss_fd001_sample.csv.gz --key unit --attributes unit,cycle --rate 500`
    - `hyperstream replay temperature.csv --timestamp timestamp --features value --speed 50x`
    - `hyperstream replay readings.csv --model identity --set tenant=blue --set rollout=true:30%`
    - `hyperstream replay delta: --from 2026-01-02 --to 2026-01-03 --speed 100x --model telemetry-anomaly`
    """
    settings = environment.settings()
    columns = Columns(_names(features), timestamp, key, _names(attributes))
    added = [parse_setting(text) for text in set_ or []]
    table: Table | HistoryTable
    if file.startswith(DELTA):
        _refuse_for_history(columns, sampling)
        table = history_table(file, view, columns.features, added, model)
        table.start, table.end = _stretch(start, end)
    else:
        if start is not None or end is not None:
            raise InvalidInput("--from", f"chooses rows of a Delta table, and {file} is a CSV file")
        table = Table(Path(file), columns, added, model)
    pace = pace_of(speed, rate, timestamp is not None or isinstance(table, HistoryTable))
    used = table.check()
    gate = _gate(settings, used, timestamp) if sampling else None
    if isinstance(table, Table):
        table.gate = gate
    console = Console(stderr=True)
    console.print(f"features: {', '.join(used)}", highlight=False)
    lines = table.count()
    total = limit if loop else min(lines, limit or lines)
    running = Feed(settings, topic or settings.kafka_inference_topic, pace)
    send_all(running, table, console, loop=loop, limit=limit, total=None if gate else total)
    if gate is not None:
        console.print(f"{gate.kept:.1%} of {gate.read:,} rows were sent", highlight=False)


def send_all(
    feed: Feed, table: RecordTable, console: Console, *, loop: bool, limit: int | None, total: int | None
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


def _refuse_for_history(columns: Columns, sampling: bool) -> None:
    """A history says itself what these options say of a CSV file."""
    given = {"--timestamp": columns.timestamp, "--key": columns.key, "--attributes": columns.attributes}
    for option, value in {**given, "--sampling": sampling}.items():
        if value:
            raise InvalidInput(
                option, "belongs to a CSV file: a history has its own times and keys, leave it out"
            )


def _stretch(start: str | None, end: str | None) -> tuple[int, int]:
    low = FIRST_MS if start is None else parse_time("--from", start)
    high = LAST_MS if end is None else parse_time("--to", end)
    if low >= high:
        raise InvalidInput("--to", f"'{end}' must be later than --from")
    return low, high


def _gate(settings: Settings, columns: tuple[str, ...], timestamp: str | None) -> RowGate:
    if timestamp is None:
        raise InvalidInput("--sampling", "needs --timestamp: a heartbeat counts the time of the rows")
    return RowGate(load_telemetry(Path(settings.config_dir)), columns)


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())
