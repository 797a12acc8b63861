"""`hyperstream train anomaly` and `hyperstream train degradation`."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Annotated, Final

import typer

from mesh.errors import MeshError

app = typer.Typer(no_args_is_help=True, help="Train models for telemetry, and measure them.")

SEED: Final = 20261127
TEST_SEEDS: Final = (101, 102, 103)


@app.command()
def anomaly(
    *,
    telemetry: Annotated[
        Path | None, typer.Option(help="What the sensors are [default: telemetry.yaml of the configuration]")
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="A CSV file, or a folder of them, to learn from instead of simulated machines; may be given again. Its "
            "columns have the names of the sensors."
        ),
    ] = None,
    time: Annotated[str, typer.Option(help="The column of times: ISO 8601 or seconds since 1970.")] = "time",
    asset: Annotated[
        str, typer.Option(help="The column of machines; without it, every file is one machine.")
    ] = "asset",
    label: Annotated[
        str,
        typer.Option(
            help="The column of what is wrong: empty, 0, normal or healthy is nothing; without it, nothing is ever wrong."
        ),
    ] = "label",
    seed: Annotated[int, typer.Option(min=0, help="Decides machines, splits and draws.")] = SEED,
    scenario_seeds: Annotated[
        list[int] | None,
        typer.Option(
            min=0, help="Seeds of the simulated machines it is measured on [default: 101, 102 and 103]"
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The model; its card and metrics are written beside it.")
    ] = Path("models/telemetry-anomaly.onnx"),
) -> None:
    """Train the model that says how unlike healthy telemetry a window is: ONNX, card, metrics and the entry that hosts it.

    Needs the extra `train`. It learns from healthy readings alone. Without `--data` it learns from simulated healthy machines
    and is measured on the scenarios beside the telemetry file, with machines of other seeds. With it, a quarter of the machines
    is kept to be measured on.

    For example:

    - `hyperstream train anomaly`
    - `hyperstream train anomaly --data march.csv --data april/ --asset pump -o models/pumps.onnx`
    """
    training = _extra("mesh.cli.training_anomaly")
    seeds = tuple(scenario_seeds or TEST_SEEDS)
    if seed in seeds:
        raise typer.BadParameter(
            f"{seed} is the training seed too: measure on others", param_hint="--scenario-seeds"
        )
    columns = training.LabelledColumns(time, asset, label)
    training.train_anomaly(telemetry, tuple(data or ()), columns, seed, seeds, output)


@app.command()
def degradation(
    data: Annotated[
        Path | None,
        typer.Option(
            help="A folder with train_FD001.txt, test_FD001.txt and RUL_FD001.txt, or one with train.csv (unit, cycle, then "
            "readings) [default: data/cmapss_fd001 in the folder that MESH_SHARED names, ../shared]"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides folds, cuts and trees.")] = 20261123,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The model; its card and metrics are written beside it.")
    ] = Path("models/rul.onnx"),
) -> None:
    """Train the model of remaining useful life from assets that ran to failure: ONNX, card, metrics and the entry that hosts it.

    Needs the extra `train`.

    For example:

    - `hyperstream train degradation`
    - `hyperstream train degradation --data pumps/ -o models/pump-rul.onnx`
    """
    _extra("mesh.cli.training_degradation").train_degradation(data, seed, output)


def _extra(module: str) -> ModuleType:
    try:
        # Only here: nobody else needs scikit-learn and the ONNX tools.
        return importlib.import_module(module)
    except ImportError as error:
        raise MeshError(f"{error.name} is not installed: pip install 'hyperstream-mesh[train]'") from None
