"""`hyperstream feed`: the shipped telemetry, over and over."""

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from mesh.cli import environment
from mesh.cli.attributes import Setting
from mesh.cli.feeding import Feed
from mesh.cli.pacing import AtRate
from mesh.cli.replay import send_all
from mesh.cli.table import Columns, Table

SAMPLE: Final = Path("data/cmapss_fd001_sample.csv.gz")
RATE: Final = 500.0
ROLLOUT: Final = Setting("rollout", True, 0.3)
"""So that every route of the shipped rules fires."""


def feed(
    rate: Annotated[float, typer.Option(min=0.001, help="Records a second.")] = RATE,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many records.")] = None,
) -> None:
    """Feed the shipped turbofan telemetry into a running stack, over and over, until Ctrl-C.

    NASA's C-MAPSS FD001: 24 sensor columns, keyed by engine. About 30 % of the rows carry `rollout: true`.

    For example:

    - `hyperstream feed`
    - `hyperstream feed --rate 2000 --limit 100000`
    """
    settings = environment.settings()
    running = Feed(settings, settings.kafka_inference_topic, AtRate(rate))
    table = sample(environment.project_root(settings.config_dir))
    send_all(running, table, Console(stderr=True), loop=True, limit=limit, total=limit)


def sample(root: Path) -> Table:
    """The shipped telemetry under the project's `root`."""
    return Table(root / SAMPLE, Columns(key="unit", attributes=("unit", "cycle")), [ROLLOUT])
