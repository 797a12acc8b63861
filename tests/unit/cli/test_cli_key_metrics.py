"""The page of key metrics, and the key that shows it."""

import io
import os
import pty

from rich.console import Console

from mesh.cli.key_metrics import key_metrics
from mesh.cli.keyboard import Keyboard
from mesh.cli.show import Show
from mesh.cli.view import Board
from mesh.costs import Prices, StoragePrices
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder
from mesh.telemetry.summary import Summary
from mesh.telemetry.totals import Totals

PRICES = Prices(
    currency="EUR",
    source="a test",
    date="2026-01-01",
    cpu_hour=0.04,
    gpu_hour=0.0,
    memory_gb_hour=0.005,
    network_gb=0.0,
    storage_gb_month=StoragePrices(0.0, 0.0, 0.0),
)


def summaries() -> tuple[Summary, Summary]:
    recorder, totals = Recorder(), Totals()

    def take(at: float, cpu: float) -> Summary:
        recorder.set(names.PROCESS_CPU, cpu, ("router", "1", "here"))
        recorder.set(names.PROCESS_MEMORY, 2e9, ("router", "1", "here"))
        recorder.set(names.TELEMETRY_LEVEL, 0)
        totals.take("p", recorder.snapshot(), at)
        return totals.summary(at)

    first = take(0.0, 10.0)
    recorder.count(names.INGEST_RECORDS, 5_000, ("t",))
    recorder.count(names.INGEST_ANSWERED, 4_990, ("t",))
    recorder.count(names.INFERENCE_ERRORS, 10, ("m",))
    recorder.count(names.ALERTS_OPENED, 3, ("anomaly", "warning"))
    recorder.observe(names.READING_SECONDS, 0.4, ("L0",))
    return first, take(10.0, 15.0)


def text_of(*arguments: object) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(key_metrics(*arguments))
    return console.export_text()


def test_the_page_says_what_a_running_mesh_knows():
    shown = text_of(*summaries(), PRICES)
    # 0.5 cores and 2 GB: 0.5 x 0.04 + 2 x 0.005
    for expected in (
        "0.200% (10)",
        "0.0300",
        "0.50",
        "3 and 0 in digests",
        "EUR",
        "level L0",
        "hyperstream evaluate",
    ):
        assert expected in shown, expected


def test_before_there_are_two_looks_nothing_is_made_up():
    first, _ = summaries()
    assert "waiting for the first figures" in text_of(None, None, PRICES)
    assert "a moment more" in text_of(first, first, PRICES)


class Quiet:
    def problems(self) -> tuple[str, ...]:
        return ()

    def takes_records(self) -> bool:
        return False

    def summary(self) -> Summary | None:
        return summaries()[1]


def test_the_key_shows_and_hides_the_page():
    show = Show(Quiet(), Board(()), None, Console(file=io.StringIO(), width=120), 0.0, PRICES)
    master, slave = pty.openpty()
    try:
        keys = Keyboard(slave)
        console = Console(width=120, record=True, file=io.StringIO())
        for expected in ("HyperStream Mesh", "key metrics", "HyperStream Mesh"):
            console.print(show._page())
            assert expected in console.export_text()
            os.write(master, b"k\n")
            show._wait(keys)
        os.write(master, b"x\n")
        show._wait(keys)
        console.print(show._page())
        assert "key metrics" in console.export_text()
    finally:
        os.close(master)
        os.close(slave)
