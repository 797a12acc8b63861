"""Where the project's files are, in any process: Ray's workers start in folders of their own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import mesh
from mesh.errors import InvalidConfig

ROOT: Final = Path(mesh.__file__).resolve().parent.parent
"""The folder that holds the packages, and in a checkout `config/`."""


def find_config(args: Mapping[str, object], environ: Mapping[str, str]) -> Path:
    """The configuration folder: `MESH_CONFIG`, else the application's `config` argument, else `config`.

    A relative one is taken from the project's folder. Raises `InvalidConfig` for another argument or a folder
    that is not there.
    """
    unknown = sorted(args.keys() - {"config"})
    if unknown:
        raise InvalidConfig("serve_config.yaml", 0, f"args.{unknown[0]}", "is not known; there is: config")
    folder = ROOT / str(environ.get("MESH_CONFIG") or args.get("config") or "config")
    if not folder.is_dir():
        raise InvalidConfig(str(folder), 0, "", "no such folder; set MESH_CONFIG to the one with models.yaml")
    return folder
