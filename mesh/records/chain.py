"""Whether a chain of entries is whole. Pure: entries in, a verdict out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mesh.errors import InvalidInput
from mesh.records.entry import Entry, Head, digest, document_of


@dataclass(frozen=True, slots=True)
class Verdict:
    """`entries` were looked at, up to `head`. `fault` says what is wrong with the entry `at_seq`, if any is."""

    entries: int
    head: Head
    fault: str | None = None
    at_seq: int | None = None

    @property
    def whole(self) -> bool:
        """Nothing is wrong."""
        return self.fault is None


def verify(entries: Iterable[Entry], after: Head | None = None, known: Iterable[Head] = ()) -> Verdict:
    """Follow the chain from `after` (else its beginning) in the order given, to its first fault.

    `known` are heads that were published earlier: a chain that was rewritten whole has others at their places, one that
    was cut is shorter than they say. A known hash may be the beginning of one. Two of one number that differ cannot both be
    in the chain: whoever rewrites the last entry has its new hash published beside the old one.
    """
    published: dict[int, set[str]] = {}
    for each in known:
        published.setdefault(each.seq, set()).add(each.hash)
    head, count = after or Head(), 0
    for entry in entries:
        fault = _fault(entry, head) or _rewritten(entry, published)
        if fault is not None:
            return Verdict(count, head, fault, entry.seq)
        head, count = Head(entry.seq, entry.hash), count + 1
    missing = [seq for seq in published if seq > head.seq]
    if missing:
        fault = (
            f"the log ends at entry {head.seq}, but entry {max(missing)} was published: entries were cut off"
        )
        return Verdict(count, head, fault, min(missing))
    return Verdict(count, head)


def _fault(entry: Entry, head: Head) -> str | None:
    if entry.seq != head.seq + 1:
        return f"entry {entry.seq} stands where entry {head.seq + 1} belongs: entries were removed or added"
    if entry.prev != head.hash:
        return f"entry {entry.seq} follows another entry {head.seq} than the one that is here"
    try:
        written = document_of(entry)
    except InvalidInput as error:
        return f"entry {entry.seq} cannot be written as canonical JSON: {error}"
    if digest(entry.prev, written) != entry.hash:
        return f"entry {entry.seq} was changed: its hash is of another text"
    return None


def _rewritten(entry: Entry, published: Mapping[int, set[str]]) -> str | None:
    for known in sorted(published.get(entry.seq, ())):
        if not entry.hash.startswith(known):
            return (
                f"entry {entry.seq} is not the one that was published ({known[:12]}…): the log was rewritten"
            )
    return None
