"""`hyperstream evaluate`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from ingest.evaluation.cases import Case, LabelledFile, recorded, simulated
from ingest.evaluation.document import document
from ingest.evaluation.page import page
from ingest.evaluation.panels import Panel, panels_of
from ingest.evaluation.playing import Player, by_name, play_all
from ingest.evaluation.results import Result
from ingest.evaluation.table import caption, results_table
from ingest.telemetry.configured import load_chain
from mesh.cli import environment, interrupts
from mesh.errors import InvalidInput
from mesh.settings import Settings
from mesh.signals.sensors import Telemetry
from mesh.spec import load_mesh, load_prices, load_scenario, load_scenarios, scenarios_folder

SEED: Final = 7


def evaluate(
    *,
    scenario: Annotated[
        list[str] | None,
        typer.Option(help="A scenario in config/scenarios, or a file (.yaml); may be repeated."),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every scenario in config/scenarios.")] = False,
    file: Annotated[
        Path | None, typer.Option(help="A CSV file of readings: columns of sensors, a time and an asset.")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="What is wrong in --file: a column of it, or a CSV file with asset, from, to."),
    ] = None,
    asset_column: Annotated[
        str, typer.Option(help="The column of --file that names the asset; one asset where there is none.")
    ] = "asset",
    time_column: Annotated[str, typer.Option(help="The column of --file that holds the time.")] = "time",
    assets: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="Machines that are simulated [default: 50]")
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(min=0, help="May be repeated; its runs are counted together [default: 7]"),
    ] = None,
    poll: Annotated[
        int | None,
        typer.Option(min=1, max=100_000, help="Records of a poll [default: batch.records of pipeline.yaml]"),
    ] = None,
    budget: Annotated[
        bool, typer.Option("--budget", help="Keep the alert budget of alerts.yaml; else every alert is told.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write a page with plots to this file (HTML).", dir_okay=False)
    ] = None,
) -> None:
    """Play scenarios or labelled files through the chain at full speed, and judge its alerts.

    The chain is that of pipeline.yaml with its models, all in this process: no Kafka, Redis or Ray is needed.

    For example:

    - `hyperstream evaluate --scenario level-shift --scenario drift`
    - `hyperstream evaluate --all --seed 1 --seed 2 --seed 3 --report report.html`
    - `hyperstream evaluate --file pumps.csv --labels windows.csv --json`
    """
    settings = environment.settings()
    mesh = load_mesh(Path(settings.config_dir), settings)
    chain = load_chain(Path(settings.config_dir), mesh)
    prices = load_prices(Path(settings.config_dir))
    labelled = _labelled(file, labels, asset_column, time_column)
    cases = _simulated(scenario or [], settings, chain.telemetry, assets, seed or [SEED], every=all_)
    if labelled is not None:
        cases.append(recorded(labelled, chain.telemetry))
    if not cases:
        raise InvalidInput(
            "--scenario", "name one, or give --all or --file; hyperstream simulate --list shows them"
        )
    if report is not None:
        _write(report, "")  # that it cannot be written is said before the work, not after it
    console = Console(stderr=True)
    interrupts.arm()
    found: list[Result] = []
    panels: dict[str, tuple[Panel, ...]] = {}
    player = Player(chain, mesh, poll or chain.plan.batch_records, budget)
    for played in play_all(player, cases, console):
        found.append(played.result)
        if report is not None and played.case.name not in panels:
            panels[played.case.name] = panels_of(played, chain)
    results = by_name(found)
    if json:
        sys.stdout.write(document(results, prices).decode() + "\n")
    else:
        Console(width=None if sys.stdout.isatty() else 200).print(results_table(results, prices))
        console.print(caption(prices), highlight=False)
    if report is not None:
        _write(report, page(results, panels, prices))
        console.print(f"the page is in {report}", highlight=False, soft_wrap=True)


def _labelled(
    file: Path | None, labels: str | None, asset_column: str, time_column: str
) -> LabelledFile | None:
    if file is None:
        if labels is not None:
            raise InvalidInput("--labels", "belongs to --file: name the readings too")
        return None
    if labels is None:
        raise InvalidInput(
            "--labels", "say what is wrong in --file: a column of it, or a file with asset, from, to"
        )
    return LabelledFile(file, labels, asset_column, time_column)


def _simulated(
    names: Sequence[str],
    settings: Settings,
    telemetry: Telemetry,
    assets: int | None,
    seeds: Sequence[int],
    *,
    every: bool,
) -> list[Case]:
    """Each scenario with each seed."""
    folder = scenarios_folder(Path(settings.config_dir), settings)
    root = environment.project_root(settings.config_dir)
    known = load_scenarios(folder, telemetry) if every else {}
    wanted = [
        *known.values(),
        *(load_scenario(folder, name, telemetry) for name in names if name not in known),
    ]
    return [simulated(one, telemetry, root, assets, seed) for one in wanted for seed in seeds]


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput("--report", f"{path} cannot be written: {error.strerror}") from None
