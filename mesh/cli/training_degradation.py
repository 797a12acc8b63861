"""One training of the degradation model: its data, the training, and what is written and said."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import Progress

from mesh.cli import environment
from mesh.cli.artifacts import Output, models_entry, tell, write_artifacts
from mesh.errors import InvalidInput
from mesh.learning.degradation import (
    Fleet,
    Quality,
    Trained,
    model_card,
    read_fleet,
    read_remaining,
    train,
)
from mesh.learning.degradation.card import card_text, measure_test
from mesh.learning.degradation.export import OUTPUTS

TURBOFANS: Final = ("train_FD001.txt", "test_FD001.txt", "RUL_FD001.txt")
OWN: Final = ("train.csv", "test.csv", "rul.txt")
"""What a folder holds: the first file is needed, the other two say how good the model is."""


def train_degradation(data: Path | None, seed: int, output: Path) -> None:
    """Train, measure where there is something to measure on, write and tell. `InvalidInput` says what is wrong."""
    settings = environment.settings()
    folder = data or environment.shared(settings.config_dir) / "data/cmapss_fd001"
    names = next((names for names in (TURBOFANS, OWN) if (folder / names[0]).is_file()), None)
    if names is None:
        raise InvalidInput("--data", f"{folder} has neither {TURBOFANS[0]} nor {OWN[0]}")
    console = Console(stderr=True)
    with Progress(console=console) as bar:
        task = bar.add_task("learning", total=2)
        try:
            fleet = read_fleet(folder / names[0])
            trained = train(fleet, seed)
            bar.advance(task)
            test = _tested(trained, folder, names)
        except (ValueError, OSError) as error:
            raise InvalidInput("--data", str(error)) from None
        bar.advance(task)
    files = {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}
    date, licence = datetime.now(UTC).date().isoformat(), _licence(names)
    card = {**model_card(trained, fleet, files, test), "date": date, "licence": licence}
    written = write_artifacts(output, trained.onnx, card, card_text(card))
    console.print(_summary(fleet, test), highlight=False, soft_wrap=True)
    tell(
        Console(),
        written,
        models_entry(output, len(trained.windows.names), [Output(name) for name in OUTPUTS]),
    )


def _tested(trained: Trained, folder: Path, names: tuple[str, ...]) -> Quality | None:
    if not all((folder / name).is_file() for name in names[1:]):
        return None
    test = read_fleet(folder / names[1])
    return measure_test(trained, test, read_remaining(folder / names[2], test))


def _licence(names: tuple[str, ...]) -> str:
    if names == TURBOFANS:
        return "a work of the US Government: in the public domain in the United States (17 U.S.C. 105)"
    return "not stated: that of the files"


def _summary(fleet: Fleet, test: Quality | None) -> str:
    learned = f"learned from {len(fleet):,} readings of {len(fleet.first_rows()):,} assets"
    if test is None:
        return f"{learned}; nothing to measure on"
    return (
        f"{learned}; on {test.assets} test assets RMSE {test.rmse:.2f} cycles, PHM08 score {test.phm08_score:.0f}, "
        f"{test.coverage:.0%} of the true values in the interval, {test.mean_width:.0f} cycles wide"
    )
