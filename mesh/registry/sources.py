"""From a reference to a file on this machine: fetched, checked, and kept by its content."""

import hashlib
import importlib
import os
import stat
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from mesh.errors import ArtifactError, MeshError
from mesh.registry.audit import MemoryAudit
from mesh.registry.mlflow import MlflowServer
from mesh.registry.objects import FolderObjects, Objects
from mesh.registry.reference import Reference, is_reference, parse_reference
from mesh.registry.registry import MODEL_FILE, Registry
from mesh.runtimes.base import Artifact

_FORMATS: Final = ("onnx",)


def objects_at(address: str, root: Path) -> Objects:
    """A folder (relative ones from `root`) or an `s3://` address. `MeshError` where boto3 is needed and absent."""
    if not address.startswith("s3://"):
        return FolderObjects(root / Path(address).expanduser())
    try:
        # Only here: nobody else needs boto3.
        module = importlib.import_module("mesh.registry.s3")
    except ImportError as error:
        raise MeshError(f"{error.name} is not installed: pip install 'hyperstream-mesh[s3]'") from None
    found: Objects = module.S3Objects(address)
    return found


def located(artifact: Artifact, registry_address: str, root: Path, environ: Mapping[str, str]) -> Artifact:
    """The artifact with a file as its path, and the version that the registry gave it; any other as it is.

    The file is found by asking the registry, so whoever opens the artifact later may get another version. Raises
    `ArtifactError` where the runtime reads no such files, `NotFound`, and what the registry or server raises.
    """
    if artifact.path is None or not is_reference(artifact.path):
        return artifact
    if artifact.kind not in _FORMATS:
        raise ArtifactError(
            f"model '{artifact.name}': {artifact.path}: registries hold {', '.join(_FORMATS)} models, not {artifact.kind}"
        )
    try:
        reference = parse_reference(artifact.path)
    except ValueError as error:
        raise ArtifactError(f"model '{artifact.name}': path: {error}") from None
    if reference.place == "mlflow":
        return _from_mlflow(artifact, reference, environ)
    registry = Registry(objects_at(registry_address, root), MemoryAudit())
    version = registry.get(reference.name, reference.version)
    path = keep({MODEL_FILE: registry.file(version)}) / MODEL_FILE
    return replace(artifact, path=str(path), version=str(version.number))


def _from_mlflow(artifact: Artifact, reference: Reference, environ: Mapping[str, str]) -> Artifact:
    address = environ.get("MLFLOW_TRACKING_URI")
    if not address:
        raise ArtifactError(
            f"model '{artifact.name}': {reference} needs MLFLOW_TRACKING_URI, the server's address"
        )
    found = MlflowServer(address, environ).fetch(reference)
    if found.model not in found.files:
        raise ArtifactError(
            f"model '{artifact.name}': {reference} lacks {found.model}, which its MLmodel names"
        )
    return replace(artifact, path=str(keep(found.files) / found.model), version=found.version)


def keep(files: Mapping[str, bytes]) -> Path:
    """The folder of this user's cache that holds these files; written again wherever it does not hold exactly them."""
    digest = hashlib.sha256()
    for name, data in sorted(files.items()):
        if Path(name).name != name:
            raise ArtifactError(f"a model's file has the name '{name}', which is a path")
        digest.update(f"{name}\0{hashlib.sha256(data).hexdigest()}\0".encode())
    cache = Path(tempfile.gettempdir()) / f"hyperstream-models-{os.getuid()}"
    cache.mkdir(mode=0o700, exist_ok=True)
    there = cache.lstat()
    # A link could lead to a folder in which others may exchange files between here and the loading.
    if not stat.S_ISDIR(there.st_mode) or there.st_uid != os.getuid() or there.st_mode & 0o022:
        raise ArtifactError(
            f"{cache} is no folder that only this user may change: remove it, or set TMPDIR to another folder"
        )
    folder = cache / digest.hexdigest()
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != data:
            fresh = folder / f".{uuid.uuid4().hex}"
            fresh.write_bytes(data)
            fresh.replace(path)
    return folder
