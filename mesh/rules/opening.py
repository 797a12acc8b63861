"""Which rules a starting mesh begins with: the newest accepted ones, or files that were changed while it was down."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

from mesh.errors import InvalidConfig
from mesh.rules.reading import Reader, Texts
from mesh.rules.stores import rules_store
from mesh.rules.values import Kept, Problem, Refused, Revision
from mesh.settings import Settings
from mesh.spec import InvalidConfigs, MeshConfig
from mesh.spec.load import MODELS, ROUTING

FILES = "files"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Opening:
    """What to begin with, whether that is news to the store, and what was refused on the way."""

    kept: Kept
    config: MeshConfig
    news: bool
    refused: Refused | None = None


def open_rules(kept: Kept | None, reader: Reader, now_ms: int, *, running: bool = False) -> Opening:
    """`kept` is what the store has. A file that differs from what was last taken of it is newer than the store.

    Unless the mesh is `running`: whoever watches the files proposes it then, so that new models are hosted first.

    Raises `InvalidConfig` where there is nothing valid to begin with.
    """
    files = reader.files()
    if kept is None:
        return _from_files(None, files, files, reader, now_ms)
    news = {name for name, digest in files.digests.items() if kept.seen.get(name) != digest}
    now = kept.current
    if news and not running:
        texts = Texts(
            files.models if MODELS in news else now.models, files.routing if ROUTING in news else now.routing
        )
        try:
            return _from_files(kept, texts, files, reader, now_ms)
        except InvalidConfig as error:
            logger.warning("changed files are refused, rules %s stand: %s", now.rules, error)
            refused = Refused("invalid", problems_of(error), now.version)
            return Opening(kept, reader.config_of(now), news=False, refused=refused)
    try:
        return Opening(kept, reader.config_of(now), news=False)
    except InvalidConfig as error:  # kept by another release, which knew other keys
        logger.warning("the rules that were kept are not valid any more, the files are taken: %s", error)
        return _from_files(kept, files, files, reader, now_ms)


def newest_rules(folder: Path, settings: Settings) -> MeshConfig:
    """What a mesh that starts with the configuration in `folder` begins with. Raises `InvalidConfig`, `StoreAway`."""
    kept = rules_store(settings, folder).load()
    return open_rules(kept, Reader(folder, settings), time.time_ns() // 1_000_000).config


def tables_of(config: MeshConfig) -> dict[str, str]:
    """The content hash of each endpoint's table."""
    return {endpoint: table.rules_hash for endpoint, table in config.tables.items()}


def problems_of(error: InvalidConfig) -> tuple[Problem, ...]:
    """Every mistake that an error tells of."""
    found = error.problems if isinstance(error, InvalidConfigs) else (error,)
    return tuple(Problem.of(each) for each in found)


def _from_files(kept: Kept | None, texts: Texts, files: Texts, reader: Reader, now_ms: int) -> Opening:
    config = reader.config(texts)
    version = 1 if kept is None else kept.current.version + 1
    revision = Revision(
        version, config.rules_hash, tables_of(config), texts.models, texts.routing, FILES, FILES, now_ms
    )
    earlier = () if kept is None else (kept.current, *kept.earlier)
    return Opening(Kept(revision, earlier[:EARLIER], files.digests), config, news=True)


EARLIER = 20
"""Revisions that are kept behind the newest."""
