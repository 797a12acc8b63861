"""The registry in a bucket: conditional writes of a real S3 server, and a model served from it."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh.registry import Changed, Draft, GateResult, Lineage, MemoryAudit, Registry
from mesh.registry.configured import on_this_machine
from mesh.registry.objects import StorageFailed
from mesh.registry.s3 import S3Objects
from mesh.registry.sources import objects_at
from mesh.runtimes import open_runtime
from mesh.settings import Settings
from mesh.spec import load_mesh
from tests.fakes.s3_server import s3_bucket

ROOT = Path(__file__).resolve().parents[2]
GOOD = GateResult("latency", "passed", 1.0, 2.0, "1.0 ms")


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3_bucket("models") as url:
        yield f"{url}/plant"


def draft(model: bytes) -> Draft:
    return Draft("pumps", "retrained", {"model.onnx": model}, "f00d", Lineage(), (GOOD,), 5, "ann")


def test_a_key_is_written_only_over_what_the_writer_knew(bucket: str) -> None:
    objects = S3Objects(f"{bucket}/cas")
    assert objects.get("a/b") is None
    tag = objects.put("a/b", b"1", None)
    with pytest.raises(Changed):
        objects.put("a/b", b"2", None)
    newer = objects.put("a/b", b"2", tag)
    with pytest.raises(Changed):
        objects.put("a/b", b"3", tag)
    found = objects.get("a/b")
    assert found is not None
    assert (found.data, found.tag) == (b"2", newer)
    assert objects.keys("a/") == ["a/b"]


def test_versions_and_aliases_as_on_a_folder(bucket: str, tmp_path: Path) -> None:
    address = f"{bucket}/registry"
    registry = Registry(objects_at(address, tmp_path), MemoryAudit())
    threads = [threading.Thread(target=registry.add, args=(draft(b"%d" % at),)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    model = (ROOT / "models/anomaly.onnx").read_bytes()
    registry.add(draft(model))
    assert registry.numbers("pumps") == [1, 2, 3, 4, 5]
    assert registry.names() == ["pumps"]
    registry.move("pumps", "champion", 4, expected=None, actor="ann", reason="")
    with pytest.raises(Changed):
        registry.clear("pumps", "champion", expected=5, actor="ann", reason="")
    registry.clear("pumps", "champion", expected=4, actor="ann", reason="")
    assert "champion" not in registry.aliases("pumps").points
    registry.move("pumps", "champion", 5, expected=None, actor="ann", reason="")
    config = tmp_path / "config"
    config.mkdir()
    (config / "learning.yaml").write_text(f"registry: {address}\n")
    (config / "models.yaml").write_text(
        "models:\n  anomaly:\n    runtime: onnx\n    path: registry:pumps@champion\n"
    )
    found = on_this_machine(load_mesh(config, Settings()).models["anomaly"].artifact(), config)
    assert found.version == "5"
    assert open_runtime(found).signature.inputs[0].shape == (-1, 24)


def test_a_bucket_that_is_not_there_is_told(bucket: str) -> None:
    with pytest.raises(StorageFailed, match=r"the registry at s3://none: .*NoSuchBucket"):
        S3Objects("s3://none").keys("x/")
