"""`hyperstream evaluate` on the shipped configuration: exit status, JSON, the page, and mistakes by option."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ingest.evaluation.command import evaluate
from mesh.errors import InvalidInput

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _project(monkeypatch):
    monkeypatch.chdir(ROOT)


def invoke(*arguments):
    app = typer.Typer()
    app.command()(evaluate)
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_scenarios_are_played_with_each_seed_and_counted_together(tmp_path):
    report = tmp_path / "report.html"
    seeds = ("--seed", 1, "--seed", 2)
    said = invoke("--scenario", "healthy", "--assets", 2, *seeds, "--json", "--report", report)
    assert said.exit_code == 0, said.output
    (healthy,) = json.loads(said.stdout)["scenarios"]
    assert (healthy["name"], healthy["seeds"], healthy["records"]) == ("healthy", [1, 2], 2_400)
    assert {one["rule"] for one in healthy["rules"]} > {"any", "unusual", "anomaly"}
    assert report.read_text().startswith("<!DOCTYPE html>")


def test_a_labelled_file_is_played_at_its_own_times(tmp_path):
    rows = "".join(f"{1_767_225_600 + at},a,{20 + at % 7},{at >= 300:d}\n" for at in range(400))
    path = tmp_path / "pumps.csv"
    path.write_text(f"time,asset,flow,label\n{rows}")
    said = invoke("--file", path, "--labels", "label", "--json")
    assert said.exit_code == 0, said.output
    (file,) = json.loads(said.stdout)["scenarios"]
    assert (file["name"], file["records"], file["rules"][0]["faults"]) == ("pumps.csv", 400, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), r"--scenario: name one, or give --all or --file"),
        (("--file", "x.csv"), r"--labels: say what is wrong"),
        (("--labels", "label"), r"--labels: belongs to --file"),
        (("--scenario", "healthy", "--report", "/no/such/folder/r.html"), r"--report: .* cannot be written"),
    ],
)
def test_mistakes_name_the_option(arguments, message):
    said = invoke(*arguments)
    assert isinstance(said.exception, InvalidInput)
    with pytest.raises(InvalidInput, match=message):
        raise said.exception
