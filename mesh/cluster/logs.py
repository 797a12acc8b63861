"""Where what we log goes: into Ray Serve's log of the replica, since a replica's root logger leads nowhere."""

import logging
from typing import Final

OURS: Final = ("mesh", "serve", "ingest")


def log_with_serve() -> None:
    """Let our loggers write, from INFO up, what Serve's own logger of this process writes to."""
    serve = logging.getLogger("ray.serve")
    for name in OURS:
        logger = logging.getLogger(name)
        logger.handlers = list(serve.handlers)
        logger.propagate = False
        logger.setLevel(logging.INFO)
