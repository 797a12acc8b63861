"""One record's bytes → its envelope: names decoded, features and metadata left as raw JSON."""

from typing import Final

import msgspec

from ingest.record import Features

WIDE_BYTES: Final = 4_096
"""Longer records are worth cutting: walking over their numbers costs more than all else."""

_KEY: Final = b'"features"'
_MARK: Final = b"0"


class Envelope(msgspec.Struct, gc=False):
    """A record of the contract; unknown fields are ignored."""

    model_id: str | None = None
    input_id: str | None = None
    features: msgspec.Raw = msgspec.Raw(b"")
    metadata: msgspec.Raw = msgspec.Raw(b"{}")


open_narrow = msgspec.json.Decoder(Envelope).decode

BAD_VALUE: Final = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)
"""What opening a value raises: not JSON or of the wrong type, nested too deeply, no UTF-8."""


def open_wide(value: bytes) -> tuple[Envelope, Features]:
    """The envelope and its features, for long records: their numbers are neither copied nor walked over twice.

    Where the features are one plain row, this does not prove that they are JSON.
    """
    cut = _cut(value)
    if cut is None:
        envelope = open_narrow(value)
        return envelope, bytes(envelope.features)
    return cut


def _cut(value: bytes) -> tuple[Envelope, Features] | None:
    """The one row after the only `"features"`, and the envelope of the rest; None where that does not hold.

    What is left must be a record whose features are the mark that fills the gap. So the text that was cut out stood
    where the features belong, and is good JSON exactly if the whole is.
    """
    at = value.find(_KEY) + len(_KEY)
    start = value.find(b"[[", at)
    end = value.find(b"]", start) + 2
    if at < len(_KEY) or start < 0 or end < 2 or value[at:start].strip() != b":":
        return None
    if not value.startswith(b"]]", end - 2) or value.find(b"[", start + 2, end) >= 0:
        return None
    rest = value[:start] + _MARK + value[end:]
    if rest.count(_KEY) != 1:
        return None
    try:
        envelope = open_narrow(rest)
    except BAD_VALUE:
        return None
    return (envelope, memoryview(value)[start:end]) if bytes(envelope.features) == _MARK else None
