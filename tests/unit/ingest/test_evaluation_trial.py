"""A run through the real chain: the same alerts whatever the polls, models asked, failures said, nothing left uncommitted."""

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from telemetry_made import TELEMETRY

from ingest.evaluation.cases import simulated
from ingest.evaluation.models import LocalModels
from ingest.evaluation.results import judged, together
from ingest.evaluation.trial import Trial
from ingest.in_process import InProcessEngine, LocalModel
from ingest.telemetry.configured import ChainConfig, Topics
from mesh.alerts import Budget, Policy, Rule
from mesh.alerts.summary import read_summary
from mesh.errors import ArtifactError, InvalidConfig
from mesh.pipeline.plan import DEFAULT_STAGES, Level, PipelinePlan, StagePlan, in_order
from mesh.routing.types import Batch, Signature, TensorSpec
from mesh.routing.when import compile_when
from mesh.settings import Settings
from mesh.simulation.scenario import Injection, Scenario
from mesh.spec import load_mesh

ROOT = Path(__file__).resolve().parents[3]
SHIFT = Injection("level_shift", begins_s=60.0, lasts_s=20.0, share=0.5, sensors=("flow",), size=500.0)
SKEW = Injection("clock_skew", begins_s=10.0, lasts_s=5.0, size=0.0)
SCENARIO = Scenario("shift", "", 110.0, (SHIFT, SKEW))
SCORED = PipelinePlan(
    in_order(
        [
            *DEFAULT_STAGES[:-1],
            StagePlan("score", "score", ("detect",), required=False, endpoints={Level.FULL: "m"}),
            StagePlan("alert", "alert", ("score",)),
        ]
    )
)


def rule(name, when, severity="warning"):
    return Rule(name, compile_when(when), severity, read_summary("{asset} {sensor}"))


def chain(*rules, plan=None, budget=None):
    policy = Policy(rules or (rule("far", "z >= 20"),), budget or Budget())
    topics = Topics("raw", "features", "alerts")
    return ChainConfig(TELEMETRY, plan or PipelinePlan(DEFAULT_STAGES), topics, policy, None)


def case(seed=1):
    return simulated(SCENARIO, TELEMETRY, Path(), 4, seed)


def play(config, *, size=50, engine=None, budget=False, progress=lambda _: None, played=None):
    async def run():
        trial = Trial(config, engine or InProcessEngine({}), ("z", "out"), budget=budget)
        return await trial.play((played or case()).run, size, progress)

    return asyncio.run(run())


def test_faults_are_found_and_every_record_is_played():
    done = []
    outcome = play(chain(), progress=done.append)
    result = judged(case(), outcome, ("far",), TELEMETRY.grid)
    whole, far = result.scores
    assert (whole.faults, whole.found) == (2, 2), "a skewed clock is no fault to find"
    assert far.found == 2
    assert 0 < whole.mttd_s[0] <= 20
    assert result.records == sum(done) == case().run.expected
    assert result.records_per_s > 0
    assert result.p95_s >= float(np.median(outcome.effort.seconds))
    assert all(alert.sensor == "flow" for alert in outcome.told)
    assert all(len(times) > 90 for times in outcome.seen.times().values())


def test_alerts_do_not_depend_on_how_the_records_come_in_polls():
    one, hundred, whole = (play(chain(), size=size).told for size in (1, 100, 10_000))
    assert sorted(one, key=str) == sorted(hundred, key=str) == sorted(whole, key=str)
    assert one


def test_an_alert_says_when_it_cleared():
    told = play(chain(), size=50).told
    by_fault = [alert for alert in told if alert.cleared_ms is not None]
    assert by_fault
    assert all(alert.cleared_ms > alert.opened_ms for alert in by_fault)


def test_with_the_budget_the_second_alert_goes_into_a_digest():
    everything = play(chain()).told
    kept = play(chain(budget=Budget(alerts=1)), budget=True).told
    assert {alert.rule for alert in everything} == {"far"}
    assert sorted({alert.rule for alert in kept}) == ["digest", "far"]
    assert len([alert for alert in kept if alert.rule == "far"]) == 1


def test_runs_of_several_seeds_are_one_result():
    parts = [
        judged(case(seed), play(chain(), played=case(seed)), ("far",), TELEMETRY.grid) for seed in (1, 2)
    ]
    both = together(parts)
    assert both.seeds == (1, 2)
    assert both.records == sum(one.records for one in parts)
    assert both.scores[0].faults == 4


def test_score_stages_ask_their_model_and_rules_read_what_it_says():
    signature = Signature((TensorSpec("x", "FP32", (-1, -1)),), (TensorSpec("out", "FP32", (-1,)),))
    model = LocalModel(signature, lambda tensors: {"out": np.full(len(tensors["x"]), 0.9, np.float32)})
    config = chain(rule("scored", "out >= 0.5"), plan=SCORED)
    outcome = play(config, engine=InProcessEngine({"m": model}))
    assert {alert.rule for alert in outcome.told} == {"scored"}
    assert len({alert.asset for alert in outcome.told}) == 4
    _, values = outcome.seen.column(outcome.told[0].asset, "out")
    assert np.allclose(values, 0.9)


def test_a_model_that_cannot_answer_ends_the_evaluation_though_the_stage_is_optional():
    def score(_tensors):
        raise ArtifactError("model 'm': its server is gone")

    model = LocalModel(Signature((TensorSpec("x", "FP32", (-1, -1)),), ()), score)
    with pytest.raises(ArtifactError, match="its server is gone"):
        play(chain(plan=SCORED), engine=InProcessEngine({"m": model}))


def mesh():
    return load_mesh(ROOT / "config", Settings.from_environ({}))


def asking(endpoint):
    return PipelinePlan((StagePlan("score", "score", endpoints={Level.FULL: endpoint}),))


def test_models_are_opened_here_with_their_confidence_among_the_outputs():
    models = LocalModels(asking("anomaly"), mesh())
    batch = Batch({"features": np.zeros((3, 24), np.float32)}, ["a", "b", "c"])
    answer = asyncio.run(models.engine().infer("anomaly", batch))
    models.close()
    assert sorted(answer.outputs) == ["confidence", "probabilities"]
    np.testing.assert_allclose(answer.outputs["confidence"], answer.outputs["probabilities"].max(axis=1))


def test_an_endpoint_that_is_a_route_table_is_named():
    with pytest.raises(InvalidConfig, match=r"pipeline.yaml: stages: 'default' is a route table"):
        LocalModels(asking("default"), mesh())


def test_a_change_of_unit_that_records_say_is_no_fault_to_find():
    said = Injection("unit_change", 10.0, 5.0, sensors=("temp",), unit="degF")
    silent = replace(said, unit=None)
    missing = Injection("missing_sensor", 10.0, 5.0, sensors=("temp",))
    scenario = Scenario("units", "", 60.0, (said, silent, missing))
    faults = simulated(scenario, TELEMETRY, Path(), 4, 1).faults
    assert [(fault.kind, fault.harmless) for fault in faults] == [
        ("unit_change", True),
        ("unit_change", False),
        ("missing_sensor", False),
    ]
