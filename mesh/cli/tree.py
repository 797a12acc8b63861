"""The commands by name, each imported when it is asked for, so that none waits for what the others need."""

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup

from mesh.cli import plugins

COMMANDS: Final[Mapping[str, str]] = {
    "up": "up:up",
    "check": "check:check",
    "console": "console:console",
    "apply": "apply:apply",
    "explain": "explain:explain",
    "feed": "feed:feed",
    "backfill": "backfill:backfill",
    "cost": "cost:cost",
    "doctor": "doctor:doctor",
    "support-bundle": "doctor:support_bundle",
    "replay": "replay:replay",
    "simulate": "simulate:simulate",
    "send": "send:send",
    "tail": "tail:tail",
    "bench": "bench:bench",
    "train-samples": "train_samples:train_samples",
    "version": "version:version",
    "pipeline": "pipeline:app",
    "k8s": "k8s:app",
    "alerts": "alerts:app",
    "review": "review:app",
    "audit": "audit:app",
    "token": "token:app",
    "rollout": "rollout:app",
    "train": "train:app",
    "slo": "slo:app",
    "learn": "learn:app",
    "models": "models:app",
    "features": "feature_commands:app",
    "store": "store:app",
}
"""Module of `mesh.cli` and name of a function or a `typer.Typer`, in the order of the help."""
MARKUP: Final = "markdown"


class Commands(MutableMapping[str, Any]):
    """Click commands by name: ours, then those of other packages. Each is made once, when it is first read."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}
        self._others: dict[str, Callable[..., object]] | None = None

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**COMMANDS, **self._plugins(), **self._made})

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _make(self, name: str) -> Any:
        if name not in COMMANDS:
            return click_command(name, self._plugins()[name])
        module, _, attribute = COMMANDS[name].partition(":")
        return click_command(name, getattr(import_module(f"mesh.cli.{module}"), attribute))

    def _plugins(self) -> dict[str, Callable[..., object]]:
        if self._others is None:
            self._others = dict(plugins.loaded(plugins.declared()))
        return self._others


class CommandTree(TyperGroup):
    """`hyperstream` itself, whose commands are those of `Commands`."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**{**parts, "commands": Commands()})


def click_command(name: str, found: "typer.Typer | Callable[..., object]") -> Any:
    """The command of a function, or the group of a `Typer`, under a name."""
    if isinstance(found, typer.Typer):
        made: Any = typer.main.get_group(found)
    else:
        alone = typer.Typer(add_completion=False, rich_markup_mode=MARKUP)
        alone.command(name)(found)
        made = typer.main.get_command(alone)
    made.name = name
    return made
