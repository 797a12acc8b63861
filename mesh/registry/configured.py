"""The registry that `learning.yaml` names, and the artifact of a configured model wherever its file is."""

import os
from collections.abc import Mapping
from pathlib import Path

from mesh.registry.audit import Audit
from mesh.registry.reference import is_reference
from mesh.registry.registry import Registry
from mesh.registry.sources import located, objects_at
from mesh.runtimes.base import Artifact
from mesh.settings import Settings
from mesh.spec import load_learning


def on_this_machine(
    artifact: Artifact, config_dir: Path, environ: Mapping[str, str] = os.environ
) -> Artifact:
    """As `located`, with the registry that `learning.yaml` in `config_dir` names."""
    if artifact.path is None or not is_reference(artifact.path):
        return artifact
    return located(artifact, load_learning(config_dir).registry, config_dir.resolve().parent, environ)


def open_registry(config_dir: Path, audit: Audit | None = None) -> Registry:
    """The registry that `learning.yaml` names; without an `audit`, moves are written to the mesh's audit log."""
    root = config_dir.resolve().parent
    address = load_learning(config_dir).registry
    return Registry(objects_at(address, root), audit or _audit_log(root))


def _audit_log(root: Path) -> Audit:
    from mesh.records.database import database_url, late_database  # noqa: PLC0415 - SQLAlchemy, which most commands do without
    from mesh.registry.logged import LogAudit  # noqa: PLC0415

    settings = Settings.from_environ(os.environ)
    return LogAudit(late_database(database_url(settings.database_url, root)), "cli")
