"""Every command with its options, from typer."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer

from mesh.cli.app import app
from serve.reference.markdown import made, page, table

_LEAD: Final = """\
`hyperstream --help` and `hyperstream COMMAND --help` say the same. `make` sets the environment up in `.venv`: run
`.venv/bin/hyperstream`, or activate it first. A command that fails says why in one message and exits with status 1."""
_HIDDEN: Final = frozenset({"--help", "--install-completion", "--show-completion"})


def commands_page() -> str:
    """The page `docs/commands.md`."""
    lines = made("Every command", "the command line", _LEAD)
    for path, command in _commands(typer.main.get_command(app), ()):
        lines += [f"## hyperstream {' '.join(path)}", "", *(command.help or "").split("\n"), ""]
        lines += _usage(path, command)
        lines += table(("option", "default", "meaning"), _options(command))
    return page(lines)


def _commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, groups before what is in them."""
    inner: dict[str, Any] = getattr(command, "commands", {})
    if path and not command.hidden:
        yield path, command
    for name in sorted(inner):
        if not inner[name].hidden:
            yield from _commands(inner[name], (*path, name))


def _usage(path: tuple[str, ...], command: Any) -> list[str]:
    if getattr(command, "commands", None):
        return ["Commands: " + ", ".join(f"`{name}`" for name in sorted(command.commands)) + ".", ""]
    words = ["hyperstream", *path]
    words += [_argument(one) for one in command.params if one.param_type_name == "argument"]
    return [f"Usage: `{' '.join(words)}`", ""]


def _argument(one: Any) -> str:
    name = (one.metavar or one.name).upper()
    shown = f"{name}…" if one.nargs != 1 else name
    return shown if one.required else f"[{shown}]"


def _options(command: Any) -> Iterator[tuple[str, str, str]]:
    for one in command.params:
        names = [*one.opts, *one.secondary_opts]
        if one.param_type_name == "argument":
            yield (one.metavar or one.name).upper(), "", one.help or ""
        elif not _HIDDEN & set(names):
            yield ", ".join(f"`{name}`" for name in names), _default(one), one.help or ""


def _default(one: Any) -> str:
    if one.required:
        return "required"
    value = one.default
    if callable(value) or value in (None, False, "", (), []):
        return ""
    if value is True:
        return f"`{one.opts[0]}`"
    text = value.as_posix() if isinstance(value, Path) else getattr(value, "value", value)
    return f"`{text}`"
