"""`hyperstream learn`: trainings, light updates and their schedule."""

import importlib
import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from mesh.cli import environment
from mesh.cli.api import api_at
from mesh.cli.rollout_client import RolloutClient
from mesh.cli.rules_client import CHANGE_S
from mesh.errors import MeshError
from mesh.registry.version import GateResult

app = typer.Typer(
    no_args_is_help=True, help="Learn from what people decided; gates decide what may be tried."
)

Actor = Annotated[str | None, typer.Option(help="Who does this, for the audit [default: the user's name]")]
Address = Annotated[
    str | None, typer.Option(help="A Ray cluster to run on, such as auto [default: in this process]")
]


@app.command()
def anomaly(*, actor: Actor = None, address: Address = None) -> None:
    """Train the anomaly model anew from labels, history and learning.yaml, examine it, keep it as a version.

    A version that passed every gate becomes `challenger`; the champion is not touched. Exit status 1 where a gate failed.
    Needs the extras `train` and `features`.

    For example:

    - `hyperstream learn anomaly`
    - `hyperstream learn anomaly --address auto`
    """
    _learn("retrain", actor, address)


@app.command()
def update(*, actor: Actor = None, address: Address = None) -> None:
    """Move the champion's calibration by the labels that came since, examine it, keep it as a version.

    Example: `hyperstream learn update`
    """
    _learn("update", actor, address)


@app.command()
def schedule(
    *,
    actor: Actor = None,
    address: Annotated[str, typer.Option(help="The Ray cluster to run on.")] = "auto",
    every_s: Annotated[
        float, typer.Option(min=1, help="How often it looks whether something is due.")
    ] = 60.0,
    once: Annotated[bool, typer.Option(help="Look once, do what is due, and end.")] = False,
    url: Annotated[
        str | None, typer.Option(help="The mesh that rolls out [default: http://MESH_HOST:MESH_HTTP_PORT]")
    ] = None,
) -> None:
    """Train and update whenever learning.yaml says that it is due: by time, by drift, by labels. Ctrl-C ends it.

    With `schedule.rollout` in learning.yaml a version that became challenger is rolled out by that plan.

    Example: `hyperstream learn schedule --address auto`
    """
    rollouts = RolloutClient(api_at(url, CHANGE_S))
    _extra("mesh.cli.learn_schedule").follow(_config(), _actor(actor), address, every_s, rollouts, once=once)


def _learn(kind: str, actor: str | None, address: str | None) -> None:
    config, who = _config(), _actor(actor)
    console = Console(stderr=True)
    now = int(time.time() * 1e3)
    if address is None:
        learned = _here(kind, config, who, now, console)
    else:
        learned = _extra("mesh.cli.learn_schedule").on_ray(kind, config, who, now, address)
    tell(Console(), kind, learned)
    if not learned.passed:
        raise typer.Exit(1)


def _here(kind: str, config: Path, actor: str, now: int, console: Console) -> Any:
    learn, opened = _extra("mesh.learning.learn"), _extra("mesh.learning.opened")
    work = learn.retrain if kind == "retrain" else learn.update
    with opened.open_bench(config) as bench:
        os.nice(max(0, bench.plan.schedule.nice - os.getpriority(os.PRIO_PROCESS, 0)))
        with console.status("opening") as status:
            return work(bench, actor, now, status.update)


def tell(console: Console, kind: str, learned: Any) -> None:
    """The gates, and what became of it."""
    for one in learned.gates:
        console.print(gate_line(one), highlight=False, soft_wrap=True, markup=False)
    if learned.missing:
        console.print(f"{learned.missing} labels have no window in the history", highlight=False)
    if learned.version is None:
        console.print(f"the {kind} was stopped: nothing was learned", highlight=False)
        return
    version = learned.version
    became = "it is challenger" if learned.challenger else "it did not become challenger"
    console.print(
        f"version {version.number} of {version.name}, SHA-256 {version.digest[:16]}…: {became}",
        highlight=False,
    )


def gate_line(result: GateResult) -> str:
    """`passed  latency  12.1 ms …`."""
    return f"{result.outcome:<10} {result.gate:<15} {result.detail}"


def _config() -> Path:
    return Path(environment.settings().config_dir)


def _actor(given: str | None) -> str:
    return given or os.environ.get("USER") or f"uid-{os.getuid()}"


def _extra(module: str) -> Any:
    try:
        # Only here: nobody else needs the ONNX tools and deltalake.
        return importlib.import_module(module)
    except ImportError as error:
        raise MeshError(
            f"{error.name} is not installed: pip install 'hyperstream-mesh[train,features]'"
        ) from None
