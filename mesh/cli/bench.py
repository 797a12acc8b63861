"""`hyperstream bench`."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from mesh.errors import MeshError


def bench(
    only: Annotated[
        list[str] | None, typer.Option(help="A part, such as http; may be given several times.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Interleaved rounds of ours and the peers.")] = 3,
    seconds: Annotated[int, typer.Option(min=1, help="Seconds per HTTP measurement.")] = 10,
) -> None:
    """Measure the mesh against its peers: one table, and build/bench.json.

    Runs in the repository, where the benchmarks lie.

    Example: `hyperstream bench --only http --rounds 5`
    """
    if not Path("benchmarks/__main__.py").exists():
        raise MeshError(
            "the benchmarks are not part of the installed package: run this in the repository's root"
        )
    parts = [word for part in only or [] for word in ("--only", part)]
    arguments = [*parts, "--rounds", str(rounds), "--seconds", str(seconds)]
    done = subprocess.run([sys.executable, "-m", "benchmarks", *arguments], check=False)
    raise typer.Exit(done.returncode)
