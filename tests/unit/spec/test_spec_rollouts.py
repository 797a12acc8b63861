"""`rollouts/NAME.yaml`: what it declares, and its mistakes by line and key."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mesh.errors import InvalidConfig, NotFound
from mesh.rollouts.plan import Plan
from mesh.settings import Settings
from mesh.spec import check_rollouts, load_mesh, load_rollout, rollout_fits, rollout_names, rules_check

ROOT = Path(__file__).resolve().parents[3]
MODELS = """
models:
  old: {runtime: identity}
  other: {runtime: identity}
  new: {runtime: identity}
"""
ROUTING = """
routes:
  - {name: main, when: always, send: [old]}
"""
GOOD: dict[str, Any] = {
    "primary": "old",
    "candidate": "new",
    "alert": {"score_at_least": 0.8},
    "steps": [{"shadow": {}}, {"canary": {"percent": 5}}, {"promote": {}}],
    "metrics": [{"name": "apart", "test": "discordance", "margin": 0.05}],
}


def checked(folder: Path, rollout: dict[str, Any], routing: str = ROUTING) -> dict[str, Plan]:
    (folder / "models.yaml").write_text(MODELS)
    (folder / "routing.yaml").write_text(routing)
    (folder / "rollouts").mkdir(exist_ok=True)
    (folder / "rollouts" / "try.yaml").write_text(yaml.safe_dump(rollout, sort_keys=False))
    return check_rollouts(folder / "rollouts", folder, load_mesh(folder, Settings()))


def refusal(folder: Path, rollout: dict[str, Any], routing: str = ROUTING) -> str:
    with pytest.raises(InvalidConfig) as refused:
        checked(folder, rollout, routing)
    return str(refused.value).replace(f"{folder}/rollouts/", "")


def test_defaults_stand_in_for_what_is_not_said(tmp_path: Path) -> None:
    plan = checked(tmp_path, GOOD)["try"]
    assert (plan.endpoint, plan.alpha, plan.window_ms, plan.exclude, plan.model) == (
        "default",
        0.05,
        60_000,
        None,
        "",
    )
    assert [step.kind for step in plan.steps] == ["shadow", "canary", "promote"]
    assert plan.steps[2].keep_warm_ms == 3_600_000
    assert plan.metrics[0].critical


def test_the_example_of_the_docs_is_one(tmp_path: Path) -> None:
    text = re.findall(r"```yaml.*?\n(.*?)```", (ROOT / "docs/rollouts.md").read_text(), re.DOTALL)[0]
    example = yaml.safe_load(text)
    plan = checked(tmp_path, {**example, "primary": "old", "candidate": "new"})["try"]
    assert [step.kind for step in plan.steps] == ["shadow", "canary", "canary", "approval", "promote"]
    assert len(plan.metrics) == 7
    assert (plan.steps[3].roles, plan.steps[1].hold_ms) == (("analyst", "operator"), 900_000)


def changed(**changes: Any) -> dict[str, Any]:
    return {**GOOD, **changes}


METRIC = GOOD["metrics"][0]


@pytest.mark.parametrize(
    ("rollout", "says"),
    [
        (changed(candidate="nwe"), "try.yaml:2: candidate: there is no model 'nwe'; did you mean 'new'?"),
        (changed(endpoint="nowhere"), "endpoint: there is no route table for endpoint 'nowhere'"),
        (changed(primary="new"), "primary and candidate are the same"),
        (changed(alert={}), "alert: give either score_at_least or labels"),
        (changed(alert={"score_at_least": 1, "labels": ["x"]}), "alert: give either"),
        (changed(steps=[{"shadow": {}}]), "steps must end with promote"),
        (changed(steps=[{"promote": {}}]), "steps must begin with shadow or canary"),
        (
            changed(steps=[{"shadow": {}, "canary": {"percent": 5}}, {"promote": {}}]),
            "steps[0]: must be exactly one",
        ),
        (
            changed(steps=[{"canary": {"percent": 50}}, {"canary": {"percent": 5}}, {"promote": {}}]),
            "must not fall",
        ),
        (
            changed(steps=[{"canary": {"percent": 0}}, {"promote": {}}]),
            "steps[0].canary.percent: must be above 0",
        ),
        (changed(metrics=[{**METRIC, "margn": 1}]), "metrics[0].margn: unknown key; did you mean 'margin'?"),
        (changed(metrics=[METRIC, {**METRIC}]), "metrics names 'apart' twice"),
        (changed(metrics=[{**METRIC, "margin": 0}]), "discordance needs a margin between 0 and 1"),
        (changed(metrics=[{**METRIC, "test": "latency", "margin": 0}]), "latency needs a margin above 0"),
        (changed(metrics=[{"name": "c", "test": "threshold"}]), "threshold takes either limit or ratio"),
        (
            changed(metrics=[{"name": "c", "test": "threshold", "limit": 1, "margin": 1}]),
            "margin: belongs to tests",
        ),
        (changed(metrics=[{**METRIC, "quantile": 0.5}]), "quantile: belongs to latency, not to discordance"),
        (
            changed(metrics=[{**METRIC, "test": "error_rate", "due": "shadow"}]),
            "due: error_rate has data of the canary",
        ),
        (changed(metrics=[{**METRIC, "dry_run": True}]), "no metric of metrics can stop it"),
        (changed(exclude="criticality >="), "exclude: "),
        (changed(exclude="a == 1 && false"), "exclude: can never hold"),
        (changed(alpha=0.9), "alpha: must be at most 0.5"),
        (changed(candidate="old@challenger"), "'old@challenger' is a name of the registry: give `model`"),
        (changed(candidate="old@challenger", model="new"), "give `model`, and the same name"),
        (
            changed(primary="other@champion"),
            "primary: the routes of endpoint 'default' must send rows to one version of 'other'",
        ),
        (changed(freeze_when=["gates"]), "freeze_when: gates are of a version in the registry: give `model`"),
        (changed(freeze_when=["weather"]), "freeze_when[0]: "),
        (changed(candidate="nwe@2"), "candidate: there is no model 'nwe@2'"),
    ],
)
def test_mistakes_are_said_with_line_and_key(tmp_path: Path, rollout: dict[str, Any], says: str) -> None:
    assert says in refusal(tmp_path, rollout)


@pytest.mark.parametrize(
    ("routing", "says"),
    [
        (
            "routes:\n  - {name: main, when: always, send: [new]}",
            "candidate: 'new' is in route 'main' already",
        ),
        (
            "routes:\n  - {name: main, when: always, split: {old: 50, new: 50}}",
            "candidate: 'new' is in route",
        ),
        (
            "routes:\n  - {name: a, when: always, send: [old, other]}",
            "answers alone",
        ),
    ],
)
def test_rules_that_give_it_no_place_are_said_before_anything_starts(
    tmp_path: Path, routing: str, says: str
) -> None:
    assert says in refusal(tmp_path, GOOD, routing)


def test_every_stage_of_the_shipped_rules_makes_valid_rules() -> None:
    mesh = load_mesh(ROOT / "config", Settings())
    rules = yaml.safe_load((ROOT / "config/routing.yaml").read_text())
    rules["routes"][1].pop("shadow")
    assert rules["routes"][1]["send"] == ["anomaly"]
    text = yaml.safe_load(
        re.findall(r"```yaml.*?\n(.*?)```", (ROOT / "docs/rollouts.md").read_text(), re.DOTALL)[0]
    )
    from mesh.spec.rollout_file import RolloutFile

    plan = RolloutFile.model_validate({**text, "candidate": "degrader"}).plan("try")
    rollout_fits(plan, rules, mesh)


def test_a_name_without_a_file_is_refused_and_a_wrong_ending_is_not_overlooked(tmp_path: Path) -> None:
    checked(tmp_path, GOOD)
    mesh = load_mesh(tmp_path, Settings())
    assert rollout_names(tmp_path / "rollouts") == ("try",)
    assert load_rollout(tmp_path / "rollouts", "try", mesh).name == "try"
    with pytest.raises(NotFound, match="there are: try"):
        load_rollout(tmp_path / "rollouts", "../try", mesh)
    (tmp_path / "rollouts" / "other.yml").write_text("")
    with pytest.raises(InvalidConfig, match=r"name it other\.yaml"):
        check_rollouts(tmp_path / "rollouts", tmp_path, mesh)


def test_rules_as_data_are_checked_like_the_file(tmp_path: Path) -> None:
    checked(tmp_path, GOOD)
    check = rules_check(load_mesh(tmp_path, Settings()))
    check({"routes": [{"name": "main", "when": "always", "send": ["old"]}]})
    with pytest.raises(InvalidConfig, match="odl"):
        check({"routes": [{"name": "main", "when": "always", "send": ["odl"]}]})


def test_a_version_of_the_primary_may_be_hosted_later_and_its_gates_are_always_looked_at(
    tmp_path: Path,
) -> None:
    plan = checked(tmp_path, changed(candidate="old@2"))["try"]
    assert (plan.candidate, plan.freeze_when) == ("old@2", ())
    names = {"primary": "old@champion", "candidate": "old@challenger", "model": "old"}
    plan = checked(tmp_path, changed(**names, freeze_when=["drift"]))["try"]
    assert (plan.primary, plan.candidate) == ("old", "old@challenger")
    assert plan.freeze_when == ("gates", "drift")


def test_the_champion_is_the_version_that_the_routes_send_rows_to(tmp_path: Path) -> None:
    (tmp_path / "rollouts").mkdir()
    (tmp_path / "models.yaml").write_text(
        "models:\n  pump@3: {runtime: identity}\n  pump@4: {runtime: identity}\n"
    )
    (tmp_path / "routing.yaml").write_text(ROUTING.replace("old", "pump@3"))
    names = {"primary": "pump@champion", "candidate": "pump@challenger", "model": "pump"}
    (tmp_path / "rollouts" / "try.yaml").write_text(yaml.safe_dump(changed(**names)))
    assert (
        check_rollouts(tmp_path / "rollouts", tmp_path, load_mesh(tmp_path, Settings()))["try"].primary
        == "pump@3"
    )


def test_a_model_that_is_hosted_from_an_alias_cannot_be_rolled_out_by_it(tmp_path: Path) -> None:
    (tmp_path / "rollouts").mkdir()
    entry = "{runtime: onnx, path: 'registry:pump@champion', score: {output: score}}"
    (tmp_path / "models.yaml").write_text(f"models:\n  pump: {entry}\n")
    (tmp_path / "routing.yaml").write_text(ROUTING.replace("old", "pump"))
    names = {"primary": "pump", "candidate": "pump@challenger", "model": "pump"}
    (tmp_path / "rollouts" / "try.yaml").write_text(yaml.safe_dump(changed(**names)))
    with pytest.raises(InvalidConfig, match="an alias that the rollout moves: host a number, such as pump@3"):
        check_rollouts(tmp_path / "rollouts", tmp_path, load_mesh(tmp_path, Settings()))


def test_the_shipped_example_fits_the_shipped_rules() -> None:
    mesh = load_mesh(ROOT / "config", Settings())
    plan = check_rollouts(ROOT / "config/rollouts", ROOT / "config", mesh)["anomaly"]
    assert plan.candidate not in mesh.models
    assert [step.kind for step in plan.steps] == ["shadow", "canary", "canary", "approval", "promote"]
