"""Objectives to rules: the windows and factors of the Site Reliability Workbook, and the file that is shipped."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mesh.cli.slo import app, rendered
from mesh.errors import InvalidConfig
from mesh.slo.objective import WINDOW, Slo, Slos
from mesh.slo.rules import slo_rules
from mesh.spec import load_slos

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ROOT / "observability/prometheus/slo.rules.yml"
ONE = Slos("svc", (Slo("up", 99.9, "It answers", f"rate(e[{WINDOW}])", f"rate(t[{WINDOW}])"),))


def _rules() -> dict[str, dict[str, object]]:
    (group,) = slo_rules(ONE)["groups"]
    return {str(rule.get("record") or rule["alert"]): rule for rule in group["rules"]}


def test_the_ratio_of_every_window_is_recorded():
    rules = _rules()
    windows = [name.removeprefix("slo:sli_error:ratio_rate") for name in rules if "ratio_rate" in name]
    assert windows == ["5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d"]
    assert rules["slo:sli_error:ratio_rate2h"]["expr"] == "((rate(e[2h])) or vector(0)) / ((rate(t[2h])) > 0)"


@pytest.mark.parametrize(
    ("alert", "pairs"),
    [
        ("MeshSloBurnPage", [("5m", "1h", "14.4"), ("30m", "6h", "6")]),
        ("MeshSloBurnTicket", [("2h", "1d", "3"), ("6h", "3d", "1")]),
    ],
)
def test_both_windows_must_burn(alert: str, pairs: list[tuple[str, str, str]]):
    of = '{service="svc", slo="up"}'
    name = "slo:sli_error:ratio_rate"
    expected = "\nor\n".join(
        f"({name}{short}{of} > {factor} * 0.001 and {name}{long}{of} > {factor} * 0.001)"
        for short, long, factor in pairs
    )
    assert _rules()[alert]["expr"] == expected


def test_the_shipped_rules_are_what_the_shipped_objectives_say():
    assert SHIPPED.read_text() == rendered(ROOT / "config"), "run: hyperstream slo render"


def test_check_tells_a_stale_file(tmp_path: Path):
    stale = tmp_path / "slo.rules.yml"
    stale.write_text("groups: []\n")
    arguments = ["render", "--config", str(ROOT / "config"), "--output", str(stale)]
    assert CliRunner().invoke(app, [*arguments, "--check"]).exit_code == 1
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert CliRunner().invoke(app, [*arguments, "--check"]).exit_code == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("slos: []", "must not be empty"),
        (
            "slos: [{name: a, objective: 100, description: b, sli: {errors: x, total: y}}]",
            "must be below 100",
        ),
        ("slos: [{name: a, objective: 99, description: b, sli: {errors: x, total: y}}]", "must count over"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, said: str):
    (tmp_path / "slos.yaml").write_text(text)
    with pytest.raises(InvalidConfig, match=said):
        load_slos(tmp_path)


def test_a_name_that_is_there_twice(tmp_path: Path):
    entry = (
        "{name: a, objective: 99, description: b, sli: {errors: 'x[{{.window}}]', total: 'y[{{.window}}]'}}"
    )
    (tmp_path / "slos.yaml").write_text(f"slos: [{entry}, {entry}]")
    with pytest.raises(InvalidConfig, match="a is there twice"):
        load_slos(tmp_path)
