r"""The audit log as lines of text that anybody can check: `{"hash":"…","prev":"…","entry":{…}}`.

`entry` is the canonical JSON that was hashed, letter for letter, and stands at a fixed place: what follows the 157th character of
a line, without its last. So neither a JSON parser nor this program is needed to compute the hash again (docs/audit.md).
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from mesh.errors import InvalidInput
from mesh.records.canonical import canonical_json, read_json
from mesh.records.entry import Entry, document_of

_FIELDS: Final = {
    "seq": int, "at": int, "actor": str, "role": str, "via": str, "action": str, "target": str, "detail": dict,
}  # fmt: skip


def line_of(entry: Entry) -> str:
    """The line of an entry, without its line break."""
    return f'{{"hash":"{entry.hash}","prev":"{entry.prev}","entry":{document_of(entry)}}}'


def entries_of(lines: Iterable[str], file: str) -> Iterator[Entry]:
    """The entries of a file's lines. Raises `InvalidInput` naming the line that is none."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _entry(line, f"{file}:{number}")


def _entry(line: str, place: str) -> Entry:
    try:
        found: Any = read_json(line)
        entry = found["entry"]
        values = {name: entry[name] for name in _FIELDS}
        hashes = {name: found[name] for name in ("prev", "hash")}
    except (ValueError, LookupError, TypeError):
        raise InvalidInput(place, "is no line of hyperstream audit export") from None
    wrong = [name for name, kind in _FIELDS.items() if type(values[name]) is not kind]
    wrong += [name for name, value in hashes.items() if type(value) is not str]
    if wrong or len(entry) != len(_FIELDS):
        raise InvalidInput(
            place, f"is no line of hyperstream audit export: {', '.join(wrong) or 'unknown members'}"
        )
    values["detail"] = canonical_json(values["detail"])
    return Entry(**values, **hashes)
