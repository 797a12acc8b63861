"""Alerts in lines and tables, and what is new from one look to the next."""

import json
from datetime import UTC, datetime

import pytest
from rich.console import Console

from mesh.alerts import Policy, Rule
from mesh.alerts.summary import read_summary
from mesh.cli.alert_client import AlertClient, shown
from mesh.cli.alert_lines import alert_line, alert_table
from mesh.cli.alert_watch import AlertWatch
from mesh.cli.api import ApiFailed
from mesh.cli.check import alert_rules
from mesh.errors import InvalidInput
from mesh.routing.when import compile_when

AT = "2026-01-02T03:04:05.678Z"


def document(n=1, **changes) -> bytes:
    alert = {
        "id": f"id-{n}", "state": "open", "severity": "critical", "rule": "hot", "asset": "pump-7", "summary": "pump-7 is hot",
        "opened_at": AT, "last_at": AT, "count": 12, "values": {}, "acknowledged": None, "resolved": None,
    }  # fmt: skip
    return json.dumps(alert | changes).encode()


def test_a_line_says_when_what_and_which():
    assert alert_line(shown(document())) == (
        "2026-01-02 03:04:05  critical  open  hot  12 rows  pump-7 is hot  (id-1)"
    )


def test_a_line_stays_one_line_and_names_who_acted():
    mark = {"actor": "ann", "at": AT, "note": ""}
    alert = shown(document(state="acknowledged", acknowledged=mark, summary="two\nlines", count=1))
    assert alert.acknowledged.at == datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC)
    assert "acknowledged by ann  hot  1 row  two lines" in alert_line(alert)


def test_a_table_has_a_row_an_alert_and_takes_no_markup_from_summaries():
    console = Console(width=160, record=True, file=None, quiet=False)
    with console.capture() as captured:
        console.print(alert_table([shown(document(1)), shown(document(2, summary="[bold]x[/]"))]))
    lines = captured.get().splitlines()
    assert [line.split()[-1] for line in lines] == ["id", "id-1", "id-2"]
    assert "[bold]x[/]" in lines[2]


def test_the_first_look_shows_what_is_not_resolved_and_later_ones_what_changed():
    watch = AlertWatch()
    done, seen, new = document(1, state="resolved"), document(2), document(3)
    assert watch.news([seen, done]) == [seen]
    assert watch.news([seen, done]) == []
    counted = document(2, count=13)
    assert watch.news([new, counted, done]) == [counted, new]


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://x", "file:///etc/passwd", ""])
def test_an_address_that_is_not_http_is_refused(url):
    with pytest.raises(InvalidInput, match="--url"):
        AlertClient(url)


def test_a_reply_that_is_no_alert_is_said():
    with pytest.raises(ApiFailed, match="is --url right"):
        shown(b"<html>")


def test_check_shows_every_rule_with_its_times():
    policy = Policy((Rule("hot", compile_when("score > 0.5"), "warning", read_summary("x"), 10_000, 90_000),))
    console = Console(width=120)
    with console.capture() as captured:
        console.print(alert_rules(policy))
    title, _, row = captured.get().splitlines()
    assert title.strip() == "alerts: 1 in 10m, then a digest"
    assert row.split() == ["hot", "warning", "score", ">", "0.5", "10s", "90s"]
