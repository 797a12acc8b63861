"""What is kept of the rules, as one JSON document."""

import msgspec

from mesh.errors import StoreAway
from mesh.rules.values import Kept

FORMAT = 1


class _Document(msgspec.Struct):
    format: int
    kept: Kept


def encode(kept: Kept) -> bytes:
    """The document."""
    return msgspec.json.format(msgspec.json.encode(_Document(FORMAT, kept)), indent=1)


def decode(document: bytes, place: str) -> Kept:
    """What `encode` wrote; `StoreAway` names `place` and the remedy where it is something else."""
    try:
        found = msgspec.json.decode(document, type=_Document)
    except msgspec.DecodeError as error:
        raise StoreAway(place, f"it holds no rules ({error}); move it away to begin with the files") from None
    if found.format != FORMAT:
        raise StoreAway(
            place, f"its format is {found.format}, not {FORMAT}; move it away to begin with the files"
        )
    return found.kept
