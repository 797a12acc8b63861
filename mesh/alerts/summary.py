"""The text of an alert: a template with `{name}` or `{name:.2f}`, where a name is an attribute, dots and all.

`str.format` would read a dot as an attribute of a Python object, so the parts are filled in here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Final

MAX_CHARACTERS: Final = 500
ABSENT: Final = "-"


@dataclass(frozen=True, slots=True)
class Part:
    """Literal text, then the value of an attribute in a format (both empty after the last one)."""

    text: str
    name: str = ""
    form: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """A template that was taken apart by `read_summary`."""

    parts: tuple[Part, ...]

    @property
    def names(self) -> frozenset[str]:
        """The attributes that it shows."""
        return frozenset(part.name for part in self.parts if part.name)

    def fill(self, values: Mapping[str, object]) -> str:
        """The text with these values; `-` stands for one that is missing. At most 500 characters."""
        text = "".join(part.text + _shown(part, values) for part in self.parts)
        return text if len(text) <= MAX_CHARACTERS else f"{text[: MAX_CHARACTERS - 1]}…"


def read_summary(text: str) -> Summary:
    """Take a template apart; `ValueError` says what is wrong with it."""
    try:
        found = list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{error}; write {{name}} or {{name:.2f}}, and {{{{ for a brace") from None
    return Summary(tuple(_part(literal, name, form, convert) for literal, name, form, convert in found))


def _part(literal: str, name: str | None, form: str | None, convert: str | None) -> Part:
    if name is None:
        return Part(literal)
    if not name or convert or "[" in name:
        raise ValueError(f"'{{{name}}}' is no attribute; write {{name}} or {{name:.2f}}")
    if form:
        try:
            format(0.5, form)
        except ValueError:
            raise ValueError(f"'{form}' is no format of a number; write {{{name}:.2f}}") from None
    return Part(literal, name, form or "")


def _shown(part: Part, values: Mapping[str, object]) -> str:
    if not part.name:
        return ""
    value = values.get(part.name)
    if value is None:
        return ABSENT
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return format(float(value), part.form) if part.form else f"{value:g}"
    return str(value)
