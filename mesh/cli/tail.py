"""`hyperstream tail`."""

import sys
import time
from typing import Annotated

import typer

from mesh.cli import environment
from mesh.cli.predictions import Log, begins, follow, one_line, parse


def tail(
    model: Annotated[str | None, typer.Option(help="Only what was sent to this model_id.")] = None,
    json: Annotated[
        bool, typer.Option("--json", help="One JSON document a line, as it lies in Redis.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(
            help="Read on after this id of an earlier line, or from so long ago, such as 10m; 0 is the beginning."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many.")] = None,
) -> None:
    """Watch predictions come out of Redis: id, input, endpoint, who answered, confidence, latency.

    Reads the log in Redis, so nothing is missed in between: --since resumes where an earlier run ended. Without it only what
    comes from now on is shown.

    For example:

    - `hyperstream tail`
    - `hyperstream tail --model threat-detector-v1 --json | jq .predictions`
    - `hyperstream tail --since 10m --limit 20`
    - `hyperstream tail --since 1764000000000-0`
    """
    log = Log(environment.settings(), since and begins(since, time.time_ns() // 1_000_000))
    shown, seen = 0, log.last
    try:
        if since is not None and log.begins_after(seen):
            sys.stderr.write("older predictions than those that follow are no longer in the log\n")
        for entry, payload in follow(log):
            prediction = parse(payload)
            if model is None or prediction.model_id == model:
                sys.stdout.write((payload.decode() if json else one_line(entry, prediction)) + "\n")
                sys.stdout.flush()
                shown += 1
            seen = entry
            if shown == limit:
                break
    except KeyboardInterrupt:
        sys.stderr.write(f"\nresume with: hyperstream tail --since {seen}\n")
    finally:
        log.close()
