import io

from rich.console import Console

from mesh.cli.feeding import Feed
from mesh.cli.pacing import AtOnce
from mesh.cli.show import Show
from mesh.cli.view import Board, clock, last_line, milliseconds, plain_line, view
from mesh.settings import Settings
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder
from mesh.telemetry.totals import Totals

BOARD = Board((("HTTP", "http://127.0.0.1:8080"), ("docs", "http://127.0.0.1:8080/docs")), ("a demo broker",))


def summary():
    recorder, totals = Recorder(), Totals()
    totals.take("p", recorder.snapshot(), 0.0)
    recorder.count(names.INGEST_RECORDS, 1000, ("t",))
    recorder.count(names.INGEST_ANSWERED, 990, ("t",))
    recorder.count(names.INGEST_DEAD_LETTERS, 10, ("t", "not-json"))
    recorder.count(names.ROWS, 700, ("default", "rules", "baseline", "primary", "1"))
    recorder.count(names.ROWS, 300, ("default", "anomaly", "canary-rollout", "canary", "1"))
    recorder.count(names.MODEL_CALLS, 50, ("rules", "answered", "1"))
    recorder.set(names.MODEL_REPLICAS, 2, ("rules", "1"))
    recorder.set(names.BREAKER_STATE, 2, ("rules",))
    recorder.set(names.INGEST_LAG, 7, ("t", "0"))
    recorder.set(names.PROCESS_MEMORY, 150e6, ("router", "1", "here"))
    for _ in range(990):
        recorder.observe(names.STREAM_SECONDS, 0.0105, ("t",))
    totals.take("p", recorder.snapshot(), 5.0)
    return totals.summary()


def page(*arguments, width=120):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(view(*arguments))
    return console.export_text()


def test_the_page_shows_rates_latency_routes_models_and_every_address():
    text = page(summary(), Board(BOARD.addresses, BOARD.notes, ("anomaly: unhealthy",), 72.0, 1200, True))
    for expected in (
        "up 01:12", "200/s", "198/s", "990", "not-json 10", "p50 12.", "p95", "baseline", "canary-rollout",
        "70%", "30%", "open", "http://127.0.0.1:8080/docs", "! anomaly: unhealthy", "a demo broker",
        "1,200", "waits for readers", "router 150 MB",
    ):  # fmt: skip
        assert expected in text, expected


def test_a_narrow_terminal_shows_all_routes():
    assert "canary-rollout" in page(summary(), BOARD, width=80)


def test_before_the_first_figures_the_addresses_are_there():
    text = page(None, BOARD)
    assert "waiting for the first figures" in text
    assert "http://127.0.0.1:8080" in text


def test_the_plain_line_holds_the_same_figures():
    line = plain_line(summary(), BOARD)
    assert "\n" not in line
    for expected in (
        "in 200/s (1,000)",
        "out 198/s (990)",
        "errors 0",
        "dead letters 10",
        "lag 7",
        "rules 2",
    ):
        assert expected in line


def test_the_last_line_is_in_numbers():
    assert (
        last_line(summary(), 0) == "drained: read 1,000, answered 990, dead-lettered 10, left uncommitted: 0"
    )
    assert last_line(summary(), 5).endswith(", not yet read: 5")
    assert "could not be read" in last_line(None, None)


def test_numbers_for_people():
    assert (clock(59), clock(3723)) == ("00:59", "1:02:03")
    assert (milliseconds(None), milliseconds(0.0082), milliseconds(1.5)) == ("-", "8.2 ms", "1,500 ms")


class Mesh:
    def __init__(self):
        self.takes, self.unwell = False, ("ingest: updating",)

    def problems(self):
        return self.unwell

    def takes_records(self):
        return self.takes

    def summary(self):
        return None


class Feeder:
    def __init__(self):
        self.feed, self.failed, self.started = Feed(Settings(), "t", AtOnce()), None, False

    def start(self):
        self.started = True


def test_the_feed_starts_once_its_records_will_be_read():
    mesh, feeder = Mesh(), Feeder()
    show = Show(mesh, BOARD, feeder, Console(), 0.0)
    assert show.look()[1].problems == ("ingest: updating",)
    assert not feeder.started
    mesh.takes = True
    show.look()
    assert feeder.started
    feeder.failed = "feed: Kafka is away"
    assert show.look()[1].problems == ("ingest: updating", "feed: Kafka is away")
