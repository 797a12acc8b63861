"""A backfill on a real, small Ray: every row of history is scored once, and a second run has nothing left to do."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pandas", reason="a backfill needs the extra 'backfill'")

import ray
from deltalake import DeltaTable

from mesh.backfill.plan import Backfill
from mesh.backfill.run import Progress, Workers, backfill
from mesh.backfill.sinks import DeltaSink, ParquetSink
from mesh.runtimes.base import Artifact
from mesh.stores.delta_writer import DeltaWriter
from mesh.stores.rows import Piece
from tests.fakes.feature_rows import T0, a_batch, a_view, days

pytestmark = [pytest.mark.ray, pytest.mark.slow]

VIEW = a_view()
MODEL = Artifact("echo", "identity")
ROWS = 300
START = T0 // days(1) * days(1)


@pytest.fixture(scope="module")
def one_core() -> Iterator[None]:
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the view and the model."""
    root = tmp_path_factory.mktemp("project")
    (root / "config").mkdir()
    (root / "config/models.yaml").write_text("models: {echo: {runtime: identity}}\n")
    (root / "config/features.yaml").write_text(
        f"history: store\nviews: {{telemetry: {{columns: [{', '.join(VIEW.columns)}]}}}}\n"
    )
    return root


@pytest.fixture(scope="module")
def writer(project: Path) -> DeltaWriter:
    """A history of three days, in which the hours are uneven."""
    made = DeltaWriter(str(project / "store/telemetry" / VIEW.transform), VIEW)
    made.begin([0])
    append(made, [(f"pump-{n % 7}", round(n * days(3) / ROWS), float(n)) for n in range(ROWS)], 0)
    return made


def append(writer: DeltaWriter, rows: list[tuple[str, int, float]], offset: int) -> None:
    batch = a_batch(rows)
    at = np.arange(len(rows)) + offset
    writer.append(Piece(batch, np.zeros(len(rows), np.int64), at, {0: offset + len(rows)}))


def job_on(writer: DeltaWriter) -> Backfill:
    return Backfill(
        VIEW, writer._address, MODEL, ("temp.std", "temp.mean"), START, START + days(6), batch_rows=64
    )


def test_all_of_history_is_scored_once_and_what_changed_is_scored_anew(
    one_core: None, writer: DeltaWriter, tmp_path: Path
) -> None:
    sink, told = DeltaSink(str(tmp_path / "scores"), "echo"), list[Progress]()
    first = backfill(job_on(writer), sink, "", Workers(), told.append)
    assert (first.rows, first.total, first.skipped) == (ROWS, ROWS, 0)
    assert [one.rows for one in told] == sorted(one.rows for one in told)

    table = DeltaTable(str(tmp_path / "scores")).to_pyarrow_table()
    answers = sorted(zip(table["features.1"].to_pylist(), table["features.0"].to_pylist(), strict=True))
    assert answers == [(float(n), pytest.approx(2 * n + 0.1)) for n in range(ROWS)]

    again = backfill(job_on(writer), sink, "", Workers(), told.append)
    assert (again.rows, again.skipped) == (0, first.days)

    append(writer, [("pump-9", days(1), -1.0)], ROWS)
    more = backfill(job_on(writer), sink, "", Workers(), told.append)
    assert more.days - more.skipped == 1
    table = DeltaTable(str(tmp_path / "scores")).to_pyarrow_table()
    assert sorted(table["features.1"].to_pylist()) == [float(n) for n in range(-1, ROWS)]


def test_to_parquet_a_file_a_day(one_core: None, writer: DeltaWriter, tmp_path: Path) -> None:
    done = backfill(job_on(writer), ParquetSink(tmp_path / "scores", "echo"), "", Workers(), lambda _: None)
    assert len(list((tmp_path / "scores").iterdir())) == done.days >= 3


def test_the_command_scores_a_stretch_and_says_what_it_did(
    one_core: None, writer: DeltaWriter, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESH_CONFIG", str(project / "config"))
    address = ray.get_runtime_context().gcs_address
    words = [
        "backfill",
        "--model",
        "echo",
        "--from",
        "2026-01-02",
        "--to",
        "2026-01-03",
        "--address",
        address,
    ]
    done = subprocess.run(
        [sys.executable, "-m", "mesh.cli", *words], capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "of 1 days in" in done.stderr
    scores = DeltaTable(f"{writer._address}.scores").to_pyarrow_table()
    assert {str(day) for day in scores["day"].to_pylist()} == {"2026-01-02"}
