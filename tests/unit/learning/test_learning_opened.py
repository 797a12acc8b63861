"""A bench from files: what it holds open, and what it says of a history that it cannot read."""

import shutil
from pathlib import Path

import pytest

from mesh.learning.opened import open_bench
from mesh.spec import load_features
from mesh.stores.delta_reader import DeltaReader
from mesh.stores.errors import NoHistory, StoreFailed

CONFIG = Path(__file__).resolve().parents[3] / "config"


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.delenv("MESH_DATABASE_URL", raising=False)
    return Path(shutil.copytree(CONFIG, tmp_path / "config"))


def held(root: Path) -> list[str]:
    links = list(Path("/proc/self/fd").iterdir())
    return [str(at) for at in map(Path.resolve, links) if at.is_relative_to(root)]


def test_nothing_of_the_database_stays_open_however_often_it_is_looked_at(config, tmp_path):
    for _ in range(3):
        with open_bench(config) as bench:
            assert not bench.labels.decided(0, 1)
            assert held(tmp_path)
    assert held(tmp_path) == []


def test_no_history_yet_is_none(config):
    with open_bench(config) as bench:
        assert bench.history is None


def test_a_history_that_cannot_be_read_is_not_taken_for_none(config, monkeypatch):
    def unreadable(_reader, _address, _view):
        raise StoreFailed("the history at s3://plant: OSError: timed out")

    monkeypatch.setattr(DeltaReader, "__init__", unreadable)
    with pytest.raises(StoreFailed, match="timed out"), open_bench(config):
        pass


def test_a_broken_log_is_no_missing_table(config, tmp_path):
    view = load_features(config, None).views["telemetry"]
    with pytest.raises(NoHistory, match="materialize"):
        DeltaReader(str(tmp_path / "gone"), view)
    log = tmp_path / "gone" / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020d}.json").write_text("{")
    with pytest.raises(StoreFailed) as broken:
        DeltaReader(str(tmp_path / "gone"), view)
    assert not isinstance(broken.value, NoHistory)
