"""Commands of packages that `mesh` may not import: functions that are entry points of the group `hyperstream.commands`."""

import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Final

GROUP: Final = "hyperstream.commands"


def declared() -> Iterable[EntryPoint]:
    """What the installed packages declare, by name."""
    return sorted(entry_points(group=GROUP), key=lambda point: point.name)


def loaded(points: Iterable[EntryPoint]) -> Iterator[tuple[str, Callable[..., object]]]:
    """Name and function of each; one that cannot be loaded is named on standard error and left out."""
    for point in points:
        try:
            command = point.load()
            if not callable(command):
                raise TypeError("it is no function")
        except Exception as error:  # noqa: BLE001 - another package's mistake must not take every command with it
            sys.stderr.write(f"warning: {_broken(point, error)}\n")
        else:
            yield point.name, command


def _broken(point: EntryPoint, error: Exception) -> str:
    package = point.dist.name if point.dist else "an unknown package"
    reason = f"{type(error).__name__}: {error}"
    return f"the command '{point.name}' of {package} ({point.value}) is left out: {reason}"
