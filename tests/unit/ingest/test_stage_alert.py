"""What the chain's alert stage takes over from alerts.yaml and the telemetry."""

from dataclasses import replace

import numpy as np
from telemetry_made import TELEMETRY, chain, polled, records

from ingest.stages.alert import Alert
from mesh.alerts import Policy, Rule
from mesh.alerts.summary import read_summary
from mesh.pipeline.plan import Level
from mesh.routing.when import compile_when

RULE = Rule(
    "hot", compile_when("score >= 0.8"), "warning", read_summary("{asset}"), key="mode", dedup_ms=99_000
)


def judge(policy: Policy, max_assets: int = 10, assets: str = "a", modes: str = "xyxy"):
    """A window of each asset for each mode."""
    alert = Alert(policy, replace(TELEMETRY, max_assets=max_assets), ())
    made = polled({0: (0, [one for asset in assets for one in records(asset, 0, 8 + len(modes))])})
    rows = chain().compute(made, Level.FULL).windows
    mode = np.array([modes[at % len(modes)] for at in range(len(rows))], np.object_)
    (judged,) = alert.step(rows.also({"score": np.ones(len(rows)), "mode": mode}), made, Level.FULL)
    return judged


def test_a_rule_remembers_as_many_keys_of_an_asset_as_the_policy_says():
    assert judge(Policy((RULE,))).forgotten_keys == 0
    assert judge(Policy((RULE,), max_keys=1)).forgotten_keys > 0


def test_as_many_assets_as_the_telemetry_says_are_remembered():
    assert judge(Policy((RULE,)), max_assets=2, assets="abc").forgotten_assets == ("a",)
