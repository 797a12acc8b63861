"""`hyperstream features materialize`."""

import threading
from typing import Annotated

import typer
from rich.console import Console

from mesh.cli import interrupts
from mesh.cli.features import View
from mesh.cli.materializing import Job, watched
from mesh.cli.stores import place_of
from mesh.errors import InvalidInput
from mesh.stores.materialize import CommitPolicy
from mesh.telemetry.recorder import Recorder


def materialize(
    *,
    view: View = "telemetry",
    from_beginning: Annotated[
        bool,
        typer.Option(
            "--from-beginning",
            help="Read the whole topic again. Rows that are there stay as they are; those that were thinned out come back.",
        ),
    ] = False,
    until_caught_up: Annotated[
        bool, typer.Option("--until-caught-up", help="End once all is read that was there at the start.")
    ] = False,
    keep_on: Annotated[
        bool,
        typer.Option(
            "--keep-on",
            help="Where Kafka, the topic or the history is away, say so and try again, for as long as it takes.",
        ),
    ] = False,
    commit_rows: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Records of one commit, at most.")
    ] = 20_000,
    commit_s: Annotated[
        float, typer.Option(min=0.1, max=3600, help="Seconds that a record waits for its commit.")
    ] = 5.0,
    metrics_port: Annotated[int | None, typer.Option(min=1, max=65535, help="A port for Prometheus.")] = None,
) -> None:
    """Write the features topic into the history, exactly once: the table holds the offsets that it was read up to.

    Ctrl-C commits what has gathered and ends. Several may run: they share the topic's partitions.

    For example:

    - `hyperstream features materialize --until-caught-up`
    - `hyperstream features materialize --keep-on --metrics-port 9465`
    """
    if keep_on and until_caught_up:
        raise InvalidInput("--keep-on", "goes on for ever, and --until-caught-up ends: give one of them")
    place, console, recorder = place_of(view), Console(stderr=True), Recorder()
    stop = threading.Event()
    interrupts.call_once(stop.set)
    job = Job(place, CommitPolicy(commit_rows, commit_s), recorder, console, stop)
    with watched(place, recorder, metrics_port):
        if keep_on:
            job.keep_on(from_beginning=from_beginning)
        else:
            job.run(from_beginning=from_beginning, until_caught_up=until_caught_up)
