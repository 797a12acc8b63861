"""Where rules are kept, and how changed files are noticed."""

import os

import pytest

from mesh.errors import StoreAway
from mesh.rules.files import FileWatch
from mesh.rules.reading import Reader
from mesh.rules.stores import FileRulesStore, MemoryRulesStore, RedisRulesStore, rules_store
from mesh.rules.values import Kept, Revision
from mesh.settings import Settings

ONE = Revision(1, "abc", {"default": "def"}, "models: {}\n", "routes: []\n", "ann", "api", 12)
KEPT = Kept(ONE, [ONE], {"routing.yaml": "00"})


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_what_is_saved_is_loaded(kind, tmp_path):
    store = MemoryRulesStore() if kind == "memory" else FileRulesStore(tmp_path / "deep" / "rules.json")
    assert store.load() is None
    store.save(KEPT)
    assert store.load() == KEPT


@pytest.mark.parametrize("text", [b"", b"{}", b'{"format": 2, "kept": {}}', b"\xff"])
def test_a_file_of_something_else_is_named(text, tmp_path):
    path = tmp_path / "rules.json"
    path.write_bytes(text)
    with pytest.raises(StoreAway, match=r"rules\.json.*move it away"):
        FileRulesStore(path).load()


def test_a_file_that_cannot_be_written_says_what_to_set(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreAway, match="MESH_RULES_STORE"):
        FileRulesStore(tmp_path / "file" / "rules.json").save(KEPT)


def test_the_setting_chooses(tmp_path):
    folder = tmp_path / "conf"
    rules_store(Settings(), folder).save(KEPT)
    assert (tmp_path / ".run/rules-conf.json").exists()
    rules_store(Settings(rules_store="own.json"), folder).save(KEPT)
    assert (tmp_path / "own.json").exists()
    assert isinstance(rules_store(Settings(rules_store="redis"), folder), RedisRulesStore)


def test_a_change_is_noticed_once_it_stands_still(tmp_path):
    models, routing = tmp_path / "models.yaml", tmp_path / "routing.yaml"
    models.write_text("models: {}\n")
    routing.write_text("routes: one\n")
    reader = Reader(tmp_path, Settings())
    watch = FileWatch(tmp_path, dict(reader.files().digests))
    assert [watch.stirred() for _ in range(3)] == [False, True, False]
    assert watch.news(reader.files()) is None
    routing.write_text("routes: other\n")
    assert [watch.stirred() for _ in range(3)] == [False, True, False]
    proposal, changed = watch.news(reader.files())
    assert (proposal.routing, proposal.models, proposal.source) == ("routes: other\n", None, "files")
    assert proposal.routing_name == str(routing)
    assert set(changed) == {"routing.yaml"}
    assert watch.news(reader.files()) is None


def test_a_file_that_is_swapped_by_its_link_is_noticed(tmp_path):
    """As Kubernetes swaps a ConfigMap."""
    for name, text in (("first", "models: {}\n"), ("second", "models: {a: 1}\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "models.yaml").write_text(text)
    (tmp_path / "data").symlink_to("first")
    (tmp_path / "models.yaml").symlink_to("data/models.yaml")
    watch = FileWatch(tmp_path, {})
    assert [watch.stirred() for _ in range(3)] == [False, True, False]
    (tmp_path / "next").symlink_to("second")
    os.replace(tmp_path / "next", tmp_path / "data")  # noqa: PTH105 - as kubelet does
    assert [watch.stirred() for _ in range(2)] == [False, True]
