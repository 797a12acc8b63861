"""`hyperstream up`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from mesh.cli import interrupts
from mesh.cli.feed import RATE
from mesh.cli.launch import Launch, Wish


def up(
    *,
    feed: Annotated[bool, typer.Option("--feed/--no-feed", help="Feed the shipped telemetry.")] = True,
    stream: Annotated[
        bool, typer.Option("--stream/--no-stream", help="Kafka, Redis and ingest; else HTTP and gRPC alone.")
    ] = True,
    history: Annotated[
        bool,
        typer.Option(
            "--history/--no-history", help="Write features into the history that features.yaml names."
        ),
    ] = True,
    rate: Annotated[float, typer.Option(min=0.001, help="Records a second to feed.")] = RATE,
    kafka: Annotated[
        Path | None,
        typer.Option(help="Run a real Kafka from this unpacked 4.x release (needs Java 17).", exists=True),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen beyond this machine without tokens and certificates.")
    ] = False,
    serve_config: Annotated[Path, typer.Option(help="The Ray Serve config.")] = Path("serve_config.yaml"),
) -> None:
    """Start everything, feed real telemetry, show a live view. Ctrl-C or SIGTERM drains and ends.

    Kafka and Redis: the ones that KAFKA_BOOTSTRAP_SERVERS and REDIS_URL name are waited for. Where they are
    unset, what answers on the default ports is used, else a demo broker and a Redis of our own start.

    For example:

    - `hyperstream up`
    - `hyperstream up --no-feed`
    - `hyperstream up --kafka ~/kafka_2.13-4.1.1 --rate 2000`
    """
    if insecure:
        os.environ["MESH_INSECURE"] = "1"  # for the mesh's processes too: each checks for itself
    wish = Wish(serve_config, rate if feed else None, stream, kafka, history)
    interrupts.arm()
    launch = Launch(wish, Console())
    launch.run()
    if launch.hung:
        sys.stdout.flush()
        os._exit(1)  # Ray's own exit handler would wait for the Ray that is gone
