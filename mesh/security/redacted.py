"""Addresses as they may be shown: without their passwords. Pure."""

import re
from typing import Final

_PASSWORD: Final = re.compile(r"(://[^:/@\s]*):[^@\s]*@")


def shown_url(url: str) -> str:
    """`redis://user:***@host:6379/0`."""
    return _PASSWORD.sub(r"\1:***@", url.partition("?")[0])
