"""What commands read from their surroundings."""

import os
from pathlib import Path

from mesh.settings import Settings


def settings() -> Settings:
    """The settings of this process's environment; `InvalidConfig` names the variable that is wrong."""
    return Settings.from_environ(os.environ)


def token() -> str | None:
    """The API token of whoever runs this: `MESH_TOKEN`."""
    return os.environ.get("MESH_TOKEN", "").strip() or None


def project_root(config_dir: str) -> Path:
    """The folder that holds `config/`, against which paths in it are resolved."""
    return Path(config_dir).resolve().parent


def shared(config_dir: str) -> Path:
    """The folder of data sets: `MESH_SHARED`, else `shared` beside the project."""
    return Path(os.environ.get("MESH_SHARED") or project_root(config_dir).parent / "shared")
