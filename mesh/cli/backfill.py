"""`hyperstream backfill`."""

import importlib
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from mesh.cli.scoring_bar import ScoringBar
from mesh.cli.stores import Place, place_of
from mesh.errors import InvalidInput, MeshError, NotFound
from mesh.registry.configured import on_this_machine
from mesh.routing.problems import nearest
from mesh.spec import ModelSpec, load_mesh
from mesh.stores.times import parse_time
from mesh.stores.views import DAY_MS


def backfill(
    *,
    model: Annotated[str, typer.Option(help="A model of models.yaml.")],
    start: Annotated[
        str, typer.Option("--from", help="Event time from which on; the whole of its day (UTC) is scored.")
    ],
    end: Annotated[
        str, typer.Option("--to", help="Event time before which; the whole of its day is scored.")
    ],
    view: Annotated[str, typer.Option(help="A view of features.yaml.")] = "telemetry",
    columns: Annotated[
        str | None,
        typer.Option(help="Columns of the view that the model takes, in its order, a,b,c [default: all]"),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="A Delta table (folder or s3://), or parquet:FOLDER for a file a day [default: beside the history]",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="How many score at a time.")] = 1,
    address: Annotated[
        str | None, typer.Option(help="A Ray cluster to run on [default: one of its own, on this machine]")
    ] = None,
) -> None:
    """Score the history of features with a model as it is now, a day at a time, over Ray Data.

    Run it again to go on: days whose history and model are the same are passed over, others are written anew. Times are
    ISO 8601 (UTC where no zone is given) or milliseconds since 1970.

    For example:

    - `hyperstream backfill --model anomaly --from 2026-01-01 --to 2026-02-01`
    - `hyperstream backfill --model anomaly --from 2026-01-01 --to 2026-01-02 -o parquet:scores --workers 4`
    """
    low, high = parse_time("--from", start), parse_time("--to", end)
    if low >= high:
        raise InvalidInput("--to", f"'{end}' must be later than --from, '{start}'")
    # A day's results are kept whole, so that days can be told apart and passed over.
    low, high = low // DAY_MS * DAY_MS, -(-high // DAY_MS) * DAY_MS
    place = place_of(view)
    spec = _model(place, model)
    artifact = on_this_machine(spec.artifact(), Path(place.settings.config_dir))
    runs, plan = _part("run"), _part("plan")
    job = plan.Backfill(place.view, place.history, artifact, _columns(place, columns), low, high)
    console = Console(stderr=True)
    # Only now: `hyperstream up` sets Ray's variables before Ray is imported.
    from mesh.cli.local_ray import local_ray  # noqa: PLC0415

    with local_ray(address), ScoringBar(console) as bar:
        crew = runs.Workers(workers, 1.0, spec.num_gpus)
        done = runs.backfill(job, _sink(place, model, output), digest_of(artifact.path), crew, bar)
        seconds = bar.seconds
    console.print(
        f"scored {done.rows:,} rows of {done.days - done.skipped} days in {seconds:.0f} s, {done.rows / seconds:,.0f}/s; "
        f"{done.skipped} days were there already",
        highlight=False,
    )


def digest_of(path: str | None) -> str:
    """The content of a model's file; empty where it has none (identity, rules, python, a folder or an address)."""
    if path is None or not Path(path).is_file():
        return path or ""
    digest = blake2b(digest_size=16)
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _model(place: Place, name: str) -> ModelSpec:
    models = load_mesh(Path(place.settings.config_dir), place.settings).models
    if name not in models:
        raise NotFound(f"no model '{name}' in models.yaml{nearest(name, models)}")
    return models[name]


def _columns(place: Place, text: str | None) -> tuple[str, ...]:
    if text is None:
        return place.view.columns
    found = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in found:
        if name not in place.view.columns:
            raise InvalidInput(
                "--columns", f"view '{place.view.name}' has no '{name}'{nearest(name, place.view.columns)}"
            )
    return found


def _sink(place: Place, model: str, output: str | None) -> Any:
    sinks = _part("sinks")
    if output is not None and output.startswith("parquet:"):
        return sinks.ParquetSink(Path(output.removeprefix("parquet:")), model)
    return sinks.DeltaSink(output or f"{place.history}.scores", model)


def _part(name: str) -> Any:
    try:
        # Only here: nobody else needs Ray Data, pandas and deltalake.
        return importlib.import_module(f"mesh.backfill.{name}")
    except ImportError as error:
        raise MeshError(f"{error.name} is not installed: pip install 'hyperstream-mesh[backfill]'") from None
