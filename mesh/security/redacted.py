"""Addresses as they may be shown: without their passwords. Pure."""

import re
from typing import Final

_PASSWORD: Final = re.compile(r"(://[^:/@\s]*):\S*@")
"""To the last @: a password that was not percent-encoded may hold any of `@ / ? #`, and no part of it may be shown."""
_NO_PORT: Final = re.compile(r"(://[^:/@\[\s]*):(?![0-9]{1,5}(?:[/?#]|$))[^/?#\s]+")
"""A password where a port would be: the host was forgotten."""


def shown_url(url: str) -> str:
    """`redis://user:***@host:6379/0`."""
    shown = _PASSWORD.sub(r"\1:***@", url)
    return (_NO_PORT.sub(r"\1:***", shown) if shown == url else shown).partition("?")[0]


def url_reason(url: str, error: ValueError) -> str:
    """Why a parser does not take a URL, without what it quotes: of a password with a `/` the first half is a port to it."""
    if "Port" in str(error):
        return (
            f"'{shown_url(url)}' has no port that is a number; in a password write / ? # @ as %2F %3F %23 %40"
        )
    return str(error)
