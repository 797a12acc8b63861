"""What adapters check before they load: the file, the options, the device."""

import difflib
from pathlib import Path

from mesh.errors import ArtifactError
from mesh.runtimes.base import Artifact


def path_of(artifact: Artifact, what: str) -> str:
    """`artifact.path`; `ArtifactError` says that `what` is needed where it is unset."""
    if not artifact.path:
        raise ArtifactError(f"model '{artifact.name}': the {artifact.kind} runtime needs a path: {what}")
    return artifact.path


def file_of(artifact: Artifact, what: str) -> Path:
    """The artifact as an existing file; `ArtifactError` otherwise."""
    path = Path(path_of(artifact, what))
    if not path.exists():
        raise ArtifactError(f"model '{artifact.name}': {path} does not exist; expected {what}")
    if not path.is_file():
        raise ArtifactError(f"model '{artifact.name}': {path} is a folder; expected {what}")
    return path


def folder_of(artifact: Artifact, what: str) -> Path:
    """The artifact as an existing folder; `ArtifactError` otherwise."""
    path = Path(path_of(artifact, what))
    if not path.exists():
        raise ArtifactError(f"model '{artifact.name}': {path} does not exist; expected {what}")
    if not path.is_dir():
        raise ArtifactError(f"model '{artifact.name}': {path} is a file; expected {what}")
    _refuse_links_out(artifact, path)
    return path


def _refuse_links_out(artifact: Artifact, folder: Path) -> None:
    """A link in a model's folder may not lead to another place: whoever makes the folder would choose what this process reads."""
    inside = folder.resolve()
    for each in folder.rglob("*"):
        if each.is_symlink() and not artifact.trusted and not each.resolve().is_relative_to(inside):
            raise ArtifactError(
                f"model '{artifact.name}': {each} leads out of the model's folder; put the file itself there"
            )


def check_options(artifact: Artifact, *known: str) -> None:
    """`ArtifactError` for an option that the runtime does not have, with the nearest one that it has."""
    for name in artifact.options:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean '{nearest[0]}'?" if nearest else f"; it has {', '.join(known) or 'none'}"
            raise ArtifactError(
                f"model '{artifact.name}': options.{name}: {artifact.kind} models have no such option{hint}"
            )


def bad_option(artifact: Artifact, name: str, expected: str, got: object) -> ArtifactError:
    """The error for an option of the wrong type or value."""
    return ArtifactError(f"model '{artifact.name}': options.{name}: expected {expected}, got {got!r}")


def whole_number(artifact: Artifact, name: str, default: int | None) -> int | None:
    """An option that is a whole number of at least 1."""
    value = artifact.options.get(name, default)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise bad_option(artifact, name, "a whole number of at least 1", value)


def positive_number(artifact: Artifact, name: str, default: float) -> float:
    """An option that is a finite number above 0."""
    value = artifact.options.get(name, default)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf"):
        return float(value)
    raise bad_option(artifact, name, "a number above 0", value)


def text_option(artifact: Artifact, name: str, default: str) -> str:
    """An option that is a text of at least one character."""
    value = artifact.options.get(name, default)
    if isinstance(value, str) and value:
        return value
    raise bad_option(artifact, name, "a text", value)


def uses_cuda(artifact: Artifact, available: bool, how: str) -> bool:
    """Whether to run on the GPU: `auto` takes it where it is `available`.

    `cuda` without one is an `ArtifactError`; `how` tells how to get one in this framework.
    """
    if artifact.device == "cuda" and not available:
        raise ArtifactError(
            f"model '{artifact.name}': device 'cuda' was asked for, but this process has no CUDA device; "
            f"{how}, or set device to 'auto' or 'cpu'"
        )
    return available and artifact.device != "cpu"


def refuse_cuda(artifact: Artifact) -> None:
    """`ArtifactError` where a GPU is asked of a runtime that has no use for one."""
    if artifact.device == "cuda":
        raise ArtifactError(
            f"model '{artifact.name}': device 'cuda': the {artifact.kind} runtime has no use for a GPU"
        )
