"""The artifact of a configured model, wherever its file is: what opens models calls this first."""

import os
from collections.abc import Mapping
from pathlib import Path

from mesh.registry.reference import is_reference
from mesh.registry.sources import located
from mesh.runtimes.base import Artifact
from mesh.spec import load_learning


def on_this_machine(artifact: Artifact, config_dir: Path, environ: Mapping[str, str] = os.environ) -> Artifact:
    """As `located`, with the registry that `learning.yaml` in `config_dir` names."""
    if artifact.path is None or not is_reference(artifact.path):
        return artifact
    return located(artifact, load_learning(config_dir).registry, config_dir.resolve().parent, environ)
