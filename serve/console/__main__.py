"""`python -m serve.console`: serves until its standard input closes or SIGTERM; then drains."""

import os
import sys
import threading

import uvicorn

from serve.console.options import parsed
from serve.console.server import build

DRAIN_S = 3
"""Seconds that requests under way have; browsers' connections are told to go at once."""


def main() -> None:
    """Serve."""
    import pandas  # noqa: F401, ICN001, PLC0415 - loaded before the first visitor, who would wait for it
    import plotly.graph_objects  # noqa: F401, PLC0415

    options = parsed(sys.argv[1:])
    try:
        app = build(options)
    except ValueError as error:  # a file that it was given cannot be used
        raise SystemExit(f"error: {error}") from None
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=options.host,
            port=options.port,
            log_level="warning",
            timeout_graceful_shutdown=DRAIN_S,
            ws="auto",
        )
    )

    def until_closed() -> None:
        while os.read(sys.stdin.fileno(), 4096):  # unbuffered: a buffer's lock would outlive this thread
            pass
        server.should_exit = True

    threading.Thread(target=until_closed, name="stdin", daemon=True).start()
    server.run()


if __name__ == "__main__":
    main()
