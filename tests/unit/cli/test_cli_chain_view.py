"""The telemetry chain in the live view, from the counters of its process to what a person reads."""

import io

from rich.console import Console

from mesh.cli.chain_view import chain_table, chain_words
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder
from mesh.telemetry.summary import ChainState
from mesh.telemetry.totals import Totals


def chain() -> ChainState:
    recorder, totals = Recorder(), Totals()
    recorder.set(names.TELEMETRY_LEVEL, 1)
    recorder.set(names.TELEMETRY_ASSETS, 50)
    totals.take("telemetry-1", recorder.snapshot(), 10.0)
    recorder.count(names.TELEMETRY_ROWS, 400)
    recorder.count(names.TELEMETRY_LATE, 3)
    recorder.count(names.TELEMETRY_ODD, 2, ("out_of_range",))
    recorder.count(names.TELEMETRY_LEFT_OUT, 7, ("score",))
    recorder.count(names.ALERTS_OPENED, 2, ("unusual", "warning"))
    recorder.count(names.ALERTS_DIGESTED, 5, ("unusual", "warning"))
    for stage, seconds in (("decode", 0.002), ("score", 0.008)):
        recorder.observe(names.TELEMETRY_STAGE_SECONDS, seconds, (stage,))
    recorder.observe(names.READING_SECONDS, 0.04, ("L1",))
    totals.take("telemetry-1", recorder.snapshot(), 15.0)
    found = totals.summary(15.0).chain
    assert found is not None
    return found


def shown(state: ChainState) -> str:
    text = io.StringIO()
    Console(file=text, width=120).print(chain_table(state))
    return text.getvalue()


def test_the_table_says_level_rates_times_and_what_went_wrong() -> None:
    text = shown(chain())
    assert "telemetry  L1  50 assets  80 windows/s" in text
    assert "decode" in text
    assert "late 3  forgotten 0  odd values out_of_range 2" in text
    assert "unusual (warning) 2 and 5 in digests" in text
    (score,) = [line for line in text.splitlines() if line.strip().startswith("score")]
    assert score.split()[-1] == "7"


def test_a_log_gets_the_same_in_a_line() -> None:
    words = chain_words(chain())
    assert words.startswith("telemetry L1 windows 400 late 3 reading to decision p95 ")
    assert words.endswith("alerts 2")


def test_a_mesh_without_the_chain_has_none() -> None:
    totals, recorder = Totals(), Recorder()
    recorder.count(names.INGEST_RECORDS, 1, ("t",))
    totals.take("ingest-1", recorder.snapshot(), 1.0)
    assert totals.summary(1.0).chain is None
