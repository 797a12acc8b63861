"""The chain of the audit log against heads that are known from elsewhere."""

from itertools import permutations

from mesh.records.chain import verify
from mesh.records.entry import Actor, Change, Entry, Head, following

_BY = Actor("ann", "operator", "cli")


def _chain(*notes: str) -> list[Entry]:
    entries: list[Entry] = []
    head = Head()
    for note in notes:
        entries.append(following(head, 1_000, Change(_BY, "rules.propose", "rules", {"note": note})))
        head = Head(entries[-1].seq, entries[-1].hash)
    return entries


def _head(entry: Entry) -> Head:
    return Head(entry.seq, entry.hash)


def test_a_last_entry_that_was_rewritten_and_published_again_shows():
    """The watch publishes the new end, of the same number: it must not stand in for the old one."""
    told, rewritten = _chain("one", "two"), _chain("one", "another")
    for heads in permutations([_head(told[1]), _head(rewritten[1])]):
        verdict = verify(rewritten, known=heads)
        assert verdict.at_seq == 2
        assert "rewritten" in (verdict.fault or "")


def test_a_head_that_is_known_twice_and_by_its_beginning_is_one():
    entries = _chain("one", "two")
    known = [_head(entries[1]), _head(entries[1]), Head(2, entries[1].hash[:12])]
    assert verify(entries, known=known).whole
