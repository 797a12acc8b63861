"""The telemetry sample that the repository ships: held-out engines as a compressed CSV with a header."""

import gzip
import io
from pathlib import Path

import numpy as np

from mesh.learning.turbofan import FEATURES

HEADER = ("unit", "cycle", *FEATURES)


def write_sample(source: Path, units: np.ndarray, target: Path) -> None:
    """Copy these engines' cycles from `train_FD001.txt` to gzip CSV, numbers as the source has them."""
    wanted = {str(unit) for unit in units}
    lines = [",".join(HEADER)]
    with source.open(encoding="ascii") as file:
        lines += [",".join(fields) for line in file if (fields := line.split())[0] in wanted]
    # Without name and time of day in its header, the same rows make the same file.
    with target.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.write(("\n".join(lines) + "\n").encode("ascii"))


def read_sample(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`unit` int64 [N], `cycle` int64 [N], `features` float32 [N, 24] of a file of `write_sample`."""
    with gzip.open(path, "rt", encoding="ascii") as file:
        text = file.read()
    header, _, body = text.partition("\n")
    if tuple(header.split(",")) != HEADER:
        raise ValueError(f"{path}: the header is not {','.join(HEADER)}")
    table = np.loadtxt(io.StringIO(body), delimiter=",", ndmin=2)
    return table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2:].astype(np.float32)
