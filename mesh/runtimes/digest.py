"""The digest by which an artifact is known: what `sha256sum` prints for a file."""

from hashlib import file_digest, sha256
from pathlib import Path

from mesh.errors import ArtifactError
from mesh.runtimes.base import Artifact


def digest_of(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hexadecimal digits.

    A folder's is that of the text that `sha256sum` prints for its files in the order of their paths: a line
    `DIGEST  PATH` each, PATH from the folder on. Raises `OSError`.
    """
    if not path.is_dir():
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    names = sorted(each.relative_to(path).as_posix() for each in path.rglob("*") if each.is_file())
    listing = "".join(f"{digest_of(path / name)}  {name}\n" for name in names)
    return sha256(listing.encode()).hexdigest()


def checked_bytes(artifact: Artifact, path: Path) -> bytes:
    """The bytes of an artifact's file, held against its `sha256` as they are read: what is loaded of them is what was checked."""
    data = path.read_bytes()
    if artifact.sha256 is not None and sha256(data).hexdigest() != artifact.sha256:
        raise ArtifactError(
            f"model '{artifact.name}': {path} was changed while it was loaded: it is not what sha256 declares"
        )
    return data


def check_digest(artifact: Artifact) -> None:
    """`ArtifactError` where the artifact is not the one that its declaration names; without `sha256`, nothing is checked."""
    if artifact.sha256 is None or artifact.path is None:
        return
    try:
        found = digest_of(Path(artifact.path))
    except OSError as error:
        raise ArtifactError(
            f"model '{artifact.name}': {artifact.path} cannot be read: {error.strerror}"
        ) from error
    if found != artifact.sha256:
        raise ArtifactError(
            f"model '{artifact.name}': {artifact.path} has sha256 {found}, declared is {artifact.sha256}"
        )
