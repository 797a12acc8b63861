"""What a training command leaves: the model, its metrics and its card, and the entry of models.yaml that hosts it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from mesh.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Output:
    """An output of the model: its name, and its width where it has more than one value a row."""

    name: str
    width: int | None = None


def write_artifacts(path: Path, model: bytes, card: Mapping[str, object], text: str) -> tuple[Path, ...]:
    """`NAME.onnx`, `NAME.metrics.json` and `NAME.md`. `InvalidInput` where they cannot be written."""
    metrics, about = path.with_suffix(".metrics.json"), path.with_suffix(".md")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(model)
        metrics.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
        about.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput("--output", f"{error.filename} cannot be written: {error.strerror}") from None
    return path, metrics, about


def models_entry(path: Path, features: int, outputs: Sequence[Output]) -> str:
    """The YAML below `models:` that hosts the file; the outputs `confidence` and `score` are what their names say."""
    lines = [
        f"  {path.stem}:",
        "    runtime: onnx",
        f"    path: {path.as_posix()}",
        "    inputs:",
        f"      - {{name: features, datatype: FP32, shape: [-1, {features}]}}",
        "    outputs:",
    ]
    for one in outputs:
        shape = "[-1]" if one.width is None else f"[-1, {one.width}]"
        lines.append(f"      - {{name: {one.name}, datatype: FP32, shape: {shape}}}")
    return "\n".join([*lines, "    confidence: {output: confidence}", "    score: {output: score}", ""])


def tell(console: Console, written: Sequence[Path], entry: str) -> None:
    """Say what was written and how it is hosted."""
    for path in written:
        console.print(f"wrote {path} ({path.stat().st_size:,} bytes)", highlight=False, soft_wrap=True)
    console.print("\nto host it, add this below `models:` in config/models.yaml:\n", highlight=False)
    console.print(entry, highlight=False, markup=False, soft_wrap=True)
