"""One running mesh for the deaths of its parts and, after them, for raw telemetry: a start takes most of a minute."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from full_stack import FullStack, echo_config, full_stack
from ray_mesh import until
from stream_servers import ROOT

RAW = "hyperstream.raw"
TOPICS = (
    RAW,
    f"{RAW}.dlq",
    "hyperstream.features",
    "hyperstream.alerts",
    "hyperstream.truth",
    "hyperstream.audit",
)
ALERTS = """
budget: {per: 10m, alerts: 100}
rules:
  - name: unusual
    when: "z >= 20"
    severity: warning
    hold_off: 10m
    clear_when: "z < 5"
    clear_for: 30s
    summary: "{asset}: {sensor} is {z:.0f} deviations from usual"
"""


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullStack]:
    folder = tmp_path_factory.mktemp("full")
    readers = {"INGEST_LOG_RECORDS": "1000000", "INGEST_MAX_RECORD_BYTES": "100000"}
    with full_stack(folder, config_in(folder), history=True, **readers) as running:
        running.kafka.create(*TOPICS)
        until(lambda: len(running.up.actors("ServeReplica:telemetry")) == 1, 180)
        yield running


def config_in(folder: Path) -> Path:
    """A model that gives back its rows, and raw telemetry with one rule."""
    config = echo_config(folder)
    for name in ("telemetry.yaml", "prices.yaml"):
        (config / name).write_text((ROOT / "config" / name).read_text())
    (config / "alerts.yaml").write_text(ALERTS)
    (config / "pipeline.yaml").write_text("snapshot_ms: 500\n")
    return config
