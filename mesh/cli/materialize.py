"""`hyperstream features materialize`."""

import threading
import time
from typing import Annotated, Final

import typer
from rich.console import Console

from mesh.cli import interrupts
from mesh.cli.features import View
from mesh.cli.materializing import MaterializeLoop, watched
from mesh.cli.stores import place_of
from mesh.stores.kafka_features import KafkaFeatures
from mesh.stores.materialize import CommitPolicy, FromBeginning, Materializer
from mesh.stores.records import RowDecoder
from mesh.telemetry.recorder import Recorder

GROUP: Final = "hyperstream-features"


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
    - `hyperstream features materialize --metrics-port 9465`
    """
    place, console, recorder = place_of(view), Console(stderr=True), Recorder()
    policy = CommitPolicy(commit_rows, commit_s)
    materializer = Materializer(place.view.name, RowDecoder(place.view), place.writer(), policy, recorder)
    again = FromBeginning(materializer)
    bootstrap = place.settings.kafka_bootstrap_servers
    # Of its own for each table: readers for another transform need all partitions too.
    group = f"{GROUP}.{place.view.name}.{place.view.transform}"
    begin = again.begin if from_beginning else materializer.begin
    source = KafkaFeatures(bootstrap, place.view.topic, group, begin)
    stop = threading.Event()
    interrupts.call_once(stop.set)
    began = time.monotonic()
    loop = MaterializeLoop(source, materializer, recorder, place.view.name, [source.tell, again.note])
    try:
        with watched(place, recorder, metrics_port):
            loop.run(stop, console, until_caught_up=until_caught_up)
    finally:
        source.close()
    console.print(loop.summary(time.monotonic() - began), highlight=False)
