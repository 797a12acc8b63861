"""Texts as databases take them."""

from typing import Annotated

from pydantic import AfterValidator


def _without_nul(value: str) -> str:
    """PostgreSQL has no NUL in texts and refuses the whole statement; SQLite takes it."""
    if "\0" in value:
        raise ValueError("must not hold the character NUL")
    return value


Text = Annotated[str, AfterValidator(_without_nul)]
"""Goes into a statement: without NUL."""
