"""Versions never change, aliases move by compare-and-set, and the audit hears of it first."""

import threading

import pytest

from mesh.errors import InvalidInput, NotFound
from mesh.registry import Changed, Draft, FolderObjects, GateResult, Lineage, MemoryAudit, Registry
from mesh.registry.objects import StorageFailed
from mesh.registry.registry import NotPassed

GOOD = GateResult("benchmark", "passed", 0.9, 0.8, "0.90 of faults found, 0.80 needed")
BAD = GateResult("latency", "failed", 9.0, 5.0, "9.0 ms, 4.0 ms more than allowed")


def draft(model: bytes = b"model", gates: tuple[GateResult, ...] = (GOOD,), name: str = "pumps") -> Draft:
    lineage = Lineage(("l-1",), {"raw-0": (3, 9)}, (1, 2), 10)
    return Draft(
        name, "retrained", {"model.onnx": model, "card.json": b"{}"}, "f00d", lineage, gates, 5, "ann"
    )


@pytest.fixture
def audit() -> MemoryAudit:
    return MemoryAudit()


@pytest.fixture
def registry(tmp_path, audit) -> Registry:
    return Registry(FolderObjects(tmp_path), audit, clock=lambda: 77)


def test_a_version_is_read_as_it_was_added(registry):
    made = registry.add(draft())
    assert registry.get("pumps", 1) == made
    assert registry.file(made) == b"model"
    assert registry.file(made, "card.json") == b"{}"
    assert (registry.names(), registry.numbers("pumps")) == (["pumps"], [1])
    assert registry.add(draft()).number == 2  # the same bytes, kept once
    assert registry.get("pumps", 2).digest == made.digest


def test_two_who_add_at_once_get_two_numbers(registry):
    threads = [
        threading.Thread(target=lambda at=at: registry.add(draft(b"%d" % at)), name=str(at))
        for at in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert registry.numbers("pumps") == list(range(1, 9))
    assert len({registry.get("pumps", number).digest for number in range(1, 9)}) == 8


def test_the_champion_moves_and_leaves_previous_behind(registry, audit):
    for model in (b"1", b"2", b"3"):
        registry.add(draft(model))
    registry.move("pumps", "champion", 1, expected=None, actor="ann", reason="first")
    registry.move("pumps", "challenger", 2, expected=None, actor="ann", reason="trial")
    aliases = registry.move("pumps", "champion", 2, expected=1, actor="bob", reason="better")
    assert dict(aliases.points) == {"champion": 2, "previous": 1}
    assert registry.get("pumps", "champion").number == 2
    assert [(move.alias, move.before, move.after) for move in aliases.moves] == [
        ("champion", None, 1),
        ("challenger", None, 2),
        ("champion", 1, 2),
        ("previous", None, 1),
        ("challenger", 2, None),
    ]
    assert [(one.actor, one.before, one.reason) for one in audit.entries] == [
        ("ann", "nothing", "first"),
        ("ann", "nothing", "trial"),
        ("bob", "version 1", "better"),
    ]
    assert registry.get("pumps", 2).digest in audit.entries[-1].after


def test_whoever_looked_too_early_is_told(registry, audit):
    registry.add(draft(b"1"))
    registry.add(draft(b"2"))
    registry.move("pumps", "champion", 1, expected=None, actor="ann", reason="")
    with pytest.raises(Changed, match="pumps@champion is version 1, not nothing"):
        registry.move("pumps", "champion", 2, expected=None, actor="bob", reason="")
    assert registry.aliases("pumps").points["champion"] == 1
    assert len(audit.entries) == 1


def test_without_the_audit_nothing_moves(tmp_path):
    class Full:
        def record(self, entry):
            raise OSError("no space")

    registry = Registry(FolderObjects(tmp_path), Full())
    registry.add(draft())
    with pytest.raises(OSError, match="no space"):
        registry.move("pumps", "champion", 1, expected=None, actor="ann", reason="")
    assert not registry.aliases("pumps").points


def test_an_alias_is_cleared_where_it_is_as_it_was_known_and_the_audit_hears_of_it(registry, audit):
    registry.add(draft(b"1"))
    registry.add(draft(b"2"))
    registry.move("pumps", "champion", 1, expected=None, actor="ann", reason="first")
    with pytest.raises(Changed, match="pumps@champion is version 1, not version 2"):
        registry.clear("pumps", "champion", expected=2, actor="bob", reason="")
    aliases = registry.clear("pumps", "champion", expected=1, actor="bob", reason="taken back")
    assert dict(registry.aliases("pumps").points) == dict(aliases.points) == {"previous": 1}
    assert (aliases.moves[-2].alias, aliases.moves[-2].before, aliases.moves[-2].after) == (
        "champion",
        1,
        None,
    )
    last = audit.entries[-1]
    assert (last.actor, last.action, last.subject) == ("bob", "models.alias", "pumps@champion")
    assert (last.before, last.after, last.reason) == ("version 1", "nothing", "taken back")
    registry.move("pumps", "champion", 2, expected=None, actor="ann", reason="again")
    registry.clear("pumps", "previous", expected=1, actor="ann", reason="")
    assert dict(registry.aliases("pumps").points) == {"champion": 2}
    with pytest.raises(Changed, match="pumps@challenger is nothing, not version 1"):
        registry.clear("pumps", "challenger", expected=1, actor="ann", reason="")


def test_only_what_passed_becomes_champion(registry):
    registry.add(draft(gates=(GOOD, BAD)))
    registry.add(draft(b"2", gates=()))
    with pytest.raises(NotPassed, match=r"latency: 9\.0 ms, 4\.0 ms more than allowed"):
        registry.move("pumps", "champion", 1, expected=None, actor="ann", reason="")
    with pytest.raises(NotPassed, match="no gate report"):
        registry.move("pumps", "champion", 2, expected=None, actor="ann", reason="")
    registry.move("pumps", "challenger", 1, expected=None, actor="ann", reason="to look at it")


def test_what_is_not_there_is_told_with_what_is(registry):
    registry.add(draft())
    with pytest.raises(NotFound, match="no version 4; there are: 1"):
        registry.get("pumps", 4)
    with pytest.raises(NotFound, match="no alias 'champion'; there are: none"):
        registry.get("pumps", "champion")
    with pytest.raises(NotFound, match=r"no file 'x'; it has: model\.onnx, card\.json"):
        registry.file(registry.get("pumps", 1), "x")
    with pytest.raises(InvalidInput, match="alias: 'best' is not one of"):
        registry.move("pumps", "best", 1, expected=None, actor="ann", reason="")
    with pytest.raises(InvalidInput, match="may hold letters"):
        registry.add(draft(name="../etc"))


def test_bytes_that_changed_on_the_disk_are_noticed(registry, tmp_path):
    made = registry.add(draft())
    (tmp_path / "pumps/files" / made.digest).write_bytes(b"other")
    with pytest.raises(StorageFailed, match="is not what was registered"):
        registry.file(made)


def test_a_folder_refuses_a_key_that_leaves_it_and_a_stale_tag(tmp_path):
    objects = FolderObjects(tmp_path / "a")
    tag = objects.put("x", b"1", None)
    with pytest.raises(Changed):
        objects.put("x", b"2", None)
    assert objects.put("x", b"2", tag) != tag
    with pytest.raises(Changed):
        objects.put("x", b"3", tag)
    with pytest.raises(StorageFailed, match="leaves the folder"):
        objects.get("../secret")
    assert objects.keys("") == ["x"]


def test_tries_are_noted_beside_each_other_and_the_newest_stays(registry):
    assert registry.tries("pumps") == {}
    threads = [
        threading.Thread(target=registry.tried, args=("pumps", work, at))
        for at in (5, 9, 7)
        for work in ("retrain", "update")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert registry.tries("pumps") == {"retrain": 9, "update": 9}
    assert registry.names() == []  # a try is no version
    assert registry.numbers("pumps") == []
    with pytest.raises(InvalidInput, match="name"):
        registry.tried("../pumps", "retrain", 1)


def test_what_others_leave_among_versions_is_no_version(registry, tmp_path):
    registry.add(draft())
    for name in ("notes.txt", "000002.json~", "latest.json"):
        (tmp_path / "pumps/versions" / name).write_text("mine")
    assert registry.numbers("pumps") == [1]
    assert registry.add(draft()).number == 2


@pytest.mark.parametrize("name", ["aliases.json", "tries.json", "versions/000001.json"])
def test_a_damaged_file_is_named(registry, tmp_path, name):
    registry.add(draft())
    (tmp_path / "pumps" / name).write_text('{"points": {"champ')
    with pytest.raises(StorageFailed, match=f"pumps/{name} in the registry is damaged"):
        registry.aliases("pumps"), registry.tries("pumps"), registry.get("pumps", 1)


def test_a_name_leads_out_of_no_folder(registry):
    with pytest.raises(InvalidInput, match="name"):
        registry.numbers("../../etc")
