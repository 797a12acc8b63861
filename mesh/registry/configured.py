"""The registry that `learning.yaml` names, and the artifact of a configured model wherever its file is."""

import os
from collections.abc import Mapping
from pathlib import Path

from mesh.registry.audit import Audit, LinesAudit
from mesh.registry.reference import is_reference
from mesh.registry.registry import Registry
from mesh.registry.sources import located, objects_at
from mesh.runtimes.base import Artifact
from mesh.spec import load_learning


def on_this_machine(
    artifact: Artifact, config_dir: Path, environ: Mapping[str, str] = os.environ
) -> Artifact:
    """As `located`, with the registry that `learning.yaml` in `config_dir` names."""
    if artifact.path is None or not is_reference(artifact.path):
        return artifact
    return located(artifact, load_learning(config_dir).registry, config_dir.resolve().parent, environ)


def open_registry(config_dir: Path, audit: Audit | None = None) -> Registry:
    """The registry that `learning.yaml` names; without an audit, moves are appended to `store/audit/models.jsonl`."""
    root = config_dir.resolve().parent
    address = load_learning(config_dir).registry
    return Registry(objects_at(address, root), audit or LinesAudit(root / "store/audit/models.jsonl"))
