"""`hyperstream simulate`."""

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import typer
from rich.console import Console

from mesh.cli import environment, interrupts
from mesh.cli.feeding import Feed
from mesh.cli.lines import Lines
from mesh.cli.outbox import Outbox
from mesh.cli.pacing import Pace, at_factor, factor_of
from mesh.cli.progress import SendingBar
from mesh.cli.scenarios import scenarios_table
from mesh.cli.simulating import Wanted, run_of, with_truth
from mesh.cli.watched_assets import WatchedAssets
from mesh.errors import InvalidInput
from mesh.settings import Settings
from mesh.signals.sensors import Telemetry
from mesh.simulation.run import Run
from mesh.simulation.thinning import Sampling
from mesh.simulation.truth import Truth
from mesh.spec import (
    load_mesh,
    load_pipeline,
    load_scenario,
    load_scenarios,
    load_telemetry,
    load_topics,
    scenarios_folder,
)

STDOUT: Final = "-"


def simulate(
    *,
    scenario: Annotated[
        str, typer.Option(help="A scenario in config/scenarios, or a file (.yaml).")
    ] = "healthy",
    assets: Annotated[
        int | None,
        typer.Option(min=1, max=100_000, help="Machines [default: 50; of a recording, all that it has]"),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            max=200_000,
            help="Records a second of all machines together, in simulated time [default: one of each machine "
            "in each period of the grid]",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="The same seed and start give the same bytes, at any speed.")
    ] = 7,
    speed: Annotated[
        str | None,
        typer.Option(help="1x, 10x ten times as fast, or max [default: 1x; max with --output]"),
    ] = None,
    duration: Annotated[
        float | None,
        typer.Option(min=0.001, max=1e7, help="Seconds of simulated time [default: the scenario's]"),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            help="The time of the first reading: ISO 8601 or seconds since 1970 [default: now; faster than 1x, "
            "as long before now as keeps the last reading out of the future, because the chain refuses records "
            "ahead of the clock]"
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", help="Write JSON lines to this file, - for standard output, not to Kafka."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="The same as --output -.")] = False,
    truth: Annotated[
        Path | None, typer.Option(help="Write the truth to this file too, as JSON lines.", dir_okay=False)
    ] = None,
    topic: Annotated[str | None, typer.Option(help="The topic [default: raw of topics.yml]")] = None,
    group: Annotated[
        str | None,
        typer.Option(
            help="Whom a demo broker waits for [default: the telemetry chain; of another --topic KAFKA_CONSUMER_GROUP]"
        ),
    ] = None,
    sampling: Annotated[
        bool,
        typer.Option("--sampling", help="Machines spare readings that say nothing new; see telemetry.yaml."),
    ] = False,
    watch: Annotated[
        str | None,
        typer.Option(
            help="With --sampling: machines with alerts at this mesh (http://HOST:PORT) send everything."
        ),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Show the scenarios and what they do.")] = False,
) -> None:
    """Simulate the telemetry of a fleet, with faults, and say in hyperstream.truth what was wrong and when.

    Ctrl-C ends it at any time; what counts as sent is delivered.

    For example:

    - `hyperstream simulate --list`
    - `hyperstream simulate --scenario drift --assets 50 --rate 2000 --speed 10x`
    - `hyperstream simulate --scenario spike --seed 1 --start 2026-01-01 --output spike.jsonl --truth truth.jsonl`
    """
    settings = environment.settings()
    config = Path(settings.config_dir)
    telemetry = load_telemetry(config)
    if list_:
        Console().print(
            scenarios_table(load_scenarios(scenarios_folder(config, settings), telemetry).values())
        )
        return
    to = STDOUT if dry_run else output
    if truth is not None and to is not None and truth.resolve() == Path(to).resolve():
        raise InvalidInput("--truth", f"{truth} is what --output writes; name another file")
    factor = factor_of(speed or ("1x" if to is None else "max"))
    console = Console(stderr=True)
    spared = _sampling(telemetry, sampling, watch, console)
    wanted = Wanted(seed, factor, assets, rate, duration, start, spared)
    root = environment.project_root(settings.config_dir)
    run = run_of(
        load_scenario(scenarios_folder(config, settings), scenario, telemetry),
        telemetry,
        root,
        wanted,
        time.time(),
    )
    console.print(f"{run.scenario.name}: {run.scenario.description}", highlight=False, soft_wrap=True)
    interrupts.arm()
    with ExitStack() as owned:
        tell = [] if truth is None else [_lines_of(owned.enter_context(_created(truth, "--truth")))]
        if to is None:
            _to_kafka(settings, run, at_factor(factor), topic, group, tell, console)
        else:
            file = sys.stdout.buffer if to == STDOUT else owned.enter_context(_created(Path(to), "--output"))
            lines = Lines(file, at_factor(factor))
            _send_all(lines, run, tell, "standard output" if to == STDOUT else to, console)


def _sampling(telemetry: Telemetry, wanted: bool, watch: str | None, console: Console) -> Sampling | None:
    if not wanted:
        if watch is not None:
            raise InvalidInput("--watch", "needs --sampling: without it every machine sends everything")
        return None
    if not telemetry.sampling.enabled:
        console.print(
            "telemetry.yaml does not enable sampling: values stand for tolerance_ms only, so less is spared",
            highlight=False,
        )
    if watch is None:
        return Sampling(telemetry.sampling)
    return Sampling(
        telemetry.sampling, WatchedAssets(watch, lambda words: console.print(words, markup=False))
    )


def _to_kafka(
    settings: Settings,
    run: Run,
    pace: Pace,
    topic: str | None,
    group: str | None,
    tell: list[Callable[[Truth], None]],
    console: Console,
) -> None:
    topics = load_topics(Path(settings.config_dir))
    truths = Outbox(settings.kafka_bootstrap_servers, topics["truth"])
    if topic in (None, topics["raw"]):
        group = group or _chain_readers(settings)
    feed = Feed(settings, topic or topics["raw"], pace, group=group)
    where = f"{feed.topic} at {settings.kafka_bootstrap_servers}"
    tell = [*tell, lambda truth: truths.send(truth.json(), truth.asset.encode())]
    try:
        _send_all(feed, run, tell, where, console)
    finally:
        truths.flush()
    console.print(f"told {truths.delivered:,} faults to {topics['truth']}", highlight=False)


def _chain_readers(settings: Settings) -> str:
    """The consumer group that reads raw telemetry."""
    config = Path(settings.config_dir)
    return load_pipeline(config, load_mesh(config, settings)).group


def _send_all(
    sending: Feed | Lines,
    run: Run,
    tell: list[Callable[[Truth], None]],
    where: str,
    console: Console,
) -> None:
    """Send the run with a progress bar, then say in one line what came of it."""
    with SendingBar(sending, run.expected, console) as bar:
        sending.progress = bar
        try:
            sending.run(with_truth(run, tell))
        except KeyboardInterrupt:
            console.print("stopped")
    console.print(f"sent {sending.sent:,} records to {where}, {bar.rate:,.0f}/s", highlight=False)
    if run.sampling is not None:
        console.print(f"{run.tally.kept:.1%} of {run.tally.read:,} readings were sent", highlight=False)


def _created(path: Path, option: str) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise InvalidInput(option, f"{path} cannot be written: {error.strerror}") from None


def _lines_of(file: BinaryIO) -> Callable[[Truth], None]:
    def write(truth: Truth) -> None:
        file.write(truth.json() + b"\n")

    return write
