"""A YAML file as plain data, with the line that every part of it came from."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from mesh.errors import InvalidConfig
from mesh.routing.problems import KeyPath


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file. `data` is made of dict, list, str, int, float, bool, None and what YAML calls a date."""

    file: str
    data: object
    lines: dict[KeyPath, int]

    def line_of(self, path: KeyPath) -> int:
        """The line of a key or list item, from 1; of the nearest part around it where it is not there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_document(path: Path) -> Document:
    """Read one YAML file; `InvalidConfig` where it cannot be read, is no YAML, or uses what we do not take.

    Refused, because each hides a mistake or makes lines meaningless: a key given twice, a key that is not
    text, aliases, `<<`, tags of one's own, several documents in one file. An empty file is an empty mapping.
    """
    file = str(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidConfig(
            file, 0, "", f"is not UTF-8 text: {error.reason} at byte {error.start}"
        ) from error
    except OSError as error:
        raise InvalidConfig(file, 0, "", f"cannot be read: {error.strerror}") from error
    return parse_document(file, text)


def parse_document(file: str, text: str) -> Document:
    """As `read_document`, for text that is already here; `file` is only its name."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        lines: dict[KeyPath, int] = {(): 1}
        if node is None or node.tag == "tag:yaml.org,2002:null":
            return Document(file, {}, lines)
        return Document(file, _Reader(file, loader, lines).value(node, ()), lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = ", ".join(part for part in (error.context, error.problem) if part)
        raise InvalidConfig(file, mark.line + 1 if mark else 0, "", f"not valid YAML: {reason}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        reason = f"the character U+{error.character:04X} is not allowed in YAML"
        raise InvalidConfig(file, line, "", reason) from error
    except RecursionError as error:
        raise InvalidConfig(file, 0, "", "is nested too deeply") from error
    except (
        ValueError,
        OverflowError,
    ) as error:  # such as "\UFFFFFFFF": PyYAML's scanner does not look after itself
        raise InvalidConfig(file, _line_reached(loader), "", f"not valid YAML: {error}") from error


def _line_reached(loader: yaml.SafeLoader) -> int:
    """The line, from 1, up to which the text was read."""
    return int(loader.get_mark().line) + 1


class _Loader(yaml.SafeLoader):
    """The safe loader, without aliases: one of them can stand for a billion values."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(
                problem="aliases (*name) are not taken: write the value out", problem_mark=mark
            )
        return super().compose_node(parent, index)


class _Reader:
    """Turns nodes into values and notes their lines."""

    __slots__ = ("_file", "_lines", "_loader")

    def __init__(self, file: str, loader: _Loader, lines: dict[KeyPath, int]) -> None:
        self._file = file
        self._loader = loader
        self._lines = lines

    def value(self, node: yaml.Node, path: KeyPath) -> object:
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return self._sequence(node, path)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        raise yaml.MarkedYAMLError(problem=f"the tag {node.tag} is not taken", problem_mark=node.start_mark)

    def _scalar(self, node: yaml.ScalarNode) -> object:
        try:
            scalar: object = self._loader.construct_object(node)
        except ValueError as error:  # a date such as 2024-99-99
            raise yaml.MarkedYAMLError(problem=f"{error}", problem_mark=node.start_mark) from error
        except (LookupError, AttributeError) as error:  # `!!bool maybe`: PyYAML takes the tag at its word
            kind = node.tag.rpartition(":")[2]
            problem = f"'{node.value[:60]}' is no !!{kind}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from error
        if isinstance(scalar, str):
            _check_text(scalar, node)
        return scalar

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, object]:
        mapping: dict[str, object] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != "tag:yaml.org,2002:str":
                shown = (
                    f"'{key_node.value}'" if isinstance(key_node, yaml.ScalarNode) else "a list or mapping"
                )
                raise InvalidConfig(
                    self._file, line, dotted(path), f"{shown} is not text; a key in quotes is"
                )
            key = key_node.value
            _check_text(key, key_node)
            here = (*path, key)
            if key in mapping:
                reason = f"is given twice (first on line {self._lines[here]})"
                raise InvalidConfig(self._file, line, dotted(here), reason)
            self._lines[here] = line
            mapping[key] = self.value(value_node, here)
        return mapping

    def _sequence(self, node: yaml.SequenceNode, path: KeyPath) -> list[object]:
        items: list[object] = []
        for index, item in enumerate(node.value):
            here = (*path, index)
            self._lines[here] = item.start_mark.line + 1
            items.append(self.value(item, here))
        return items


def _check_text(text: str, node: yaml.ScalarNode) -> None:
    """Half of a character, an escape from D800 to DFFF, can be written to no file and sent to nobody."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        problem = "\\uD800 to \\uDFFF are halves of characters: write the character itself"
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def dotted(path: KeyPath) -> str:
    """`routes[1].canary.percent`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
