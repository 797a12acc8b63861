"""Where what we log goes: into Ray Serve's log of the replica, since a replica's root logger leads nowhere.

With MESH_LOG_FORMAT=json it goes beside it instead, into a file of JSON lines of the process's own.
"""

import logging
import os
from collections.abc import Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

from mesh.telemetry.log_lines import JsonLines

OURS: Final = ("mesh", "serve", "ingest")
_MAX_BYTES: Final = 20 * 2**20
_KEPT: Final = 3


def log_with_serve() -> None:
    """Let our loggers write, from INFO up, what Serve's own logger of this process writes to, or JSON beside it."""
    serve = logging.getLogger("ray.serve")
    handlers = list(serve.handlers)
    if os.environ.get("MESH_LOG_FORMAT") == "json":
        handlers = [json_handler(next(_files(serve.handlers), None))]
    for name in OURS:
        logger = logging.getLogger(name)
        logger.handlers = handlers
        logger.propagate = False
        logger.setLevel(logging.INFO)


def json_handler(beside: Path | None) -> logging.Handler:
    """JSON lines to `<name>.jsonl` beside that log, at most 80 MiB; to standard error where there is none."""
    handler: logging.Handler = (
        logging.StreamHandler()
        if beside is None
        else RotatingFileHandler(beside.with_suffix(".jsonl"), maxBytes=_MAX_BYTES, backupCount=_KEPT)
    )
    handler.setFormatter(JsonLines())
    return handler


def _files(handlers: list[logging.Handler]) -> Iterator[Path]:
    """The files that handlers write to, those behind a buffer too."""
    for handler in handlers:
        target = getattr(handler, "target", handler)
        if isinstance(target, logging.FileHandler):
            yield Path(target.baseFilename)
