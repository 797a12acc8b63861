"""`--set name=value[:share%]`: attributes for all rows, or for an even share of them. Pure."""

import re
import zlib
from dataclasses import dataclass
from typing import Final

import msgspec

from mesh.errors import InvalidInput

GOLDEN: Final = 0.6180339887498949
"""Multiples of the golden ratio, modulo 1, fill the interval as evenly as can be (Weyl's sequence)."""

_SHARE: Final = re.compile(r"^(?P<value>.*):(?P<share>\d+(\.\d+)?)%$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Setting:
    """An attribute that a share (0 to 1) of the rows gets."""

    name: str
    value: object
    share: float = 1.0

    def applies(self, row: int) -> bool:
        """Whether row number `row` has it. Any stretch of rows holds the share nearly exactly."""
        start = zlib.crc32(self.name.encode()) / 2**32
        return (start + row * GOLDEN) % 1.0 < self.share


def parse_setting(text: str) -> Setting:
    """`rollout=true:30%`, `site=north`. A value that is JSON (true, 7, "7") is that, else it is text."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InvalidInput("--set", f"'{text}' is not name=value or name=value:share%")
    share = 1.0
    if found := _SHARE.match(value):
        value, share = found["value"], float(found["share"]) / 100
        if share > 1:
            raise InvalidInput("--set", f"'{text}': the share is more than 100%")
    return Setting(name, typed(value), share)


def typed(text: str) -> object:
    """`text` as the number or truth value that it spells in JSON, else as it stands."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
