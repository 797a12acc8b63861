"""Adjudicated labels from a file: a JSON object a line, with the fields of `AdjudicatedLabel`."""

import math
from pathlib import Path

import msgspec

from mesh.errors import InvalidInput
from mesh.learning.feedback.labels import AdjudicatedLabel, MemoryLabels


def read_labels(path: Path) -> MemoryLabels:
    """None where there is no file; of lines with one id the last counts. `InvalidInput` names the line and field."""
    if not path.exists():
        return MemoryLabels()
    found: dict[str, AdjudicatedLabel] = {}
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                label = _label(f"{path}:{number}", line)
                found[label.id] = label
    return MemoryLabels(found.values())


def write_labels(path: Path, labels: MemoryLabels) -> None:
    """All of them, in the form that is read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [msgspec.json.encode(one) for one in labels.decided(-(1 << 62), 1 << 62)]
    path.write_bytes(b"".join(line + b"\n" for line in lines))


def _label(where: str, line: bytes) -> AdjudicatedLabel:
    try:
        label = msgspec.json.decode(line, type=AdjudicatedLabel)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise InvalidInput(where, str(error)) from None
    if not (math.isfinite(label.weight) and label.weight >= 1):
        raise InvalidInput(where, f"weight must be 1 or more (one over a probability), got {label.weight:g}")
    if not label.votes:
        raise InvalidInput(where, "votes must name at least one person")
    return label
