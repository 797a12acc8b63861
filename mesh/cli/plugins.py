"""Commands of other packages, which this one may not import: entry points of the group `hyperstream.commands`."""

from collections.abc import Callable
from importlib.metadata import EntryPoint
from typing import Any

from mesh.errors import MeshError


def plugged_in(plugin: EntryPoint) -> Callable[..., Any]:
    """The command that an entry point names; where that cannot be imported, one that says so when it is called."""
    try:
        command: Callable[..., Any] = plugin.load()
    except Exception as error:  # noqa: BLE001 - whatever a package does when it is imported, the other commands work
        return _broken(plugin, error)
    return command


def _broken(plugin: EntryPoint, error: Exception) -> Callable[[], None]:
    reason = f"command '{plugin.name}' ({plugin.value}) cannot be loaded: {type(error).__name__}: {error}"

    def say() -> None:
        raise MeshError(reason)

    say.__doc__ = f"Not available: {error}"
    return say
