"""`pipeline.yaml`: what it declares, what stands in for what it leaves out, and its mistakes by line and key."""

from pathlib import Path

import pytest

from mesh.errors import InvalidConfig
from mesh.pipeline.plan import DEFAULT_STAGES, Level, LevelRules, PipelinePlan
from mesh.settings import Settings
from mesh.spec import InvalidConfigs, load_mesh, load_pipeline

STAGES = """stages:
  decode: {kind: decode}
  synchronise: {kind: synchronise, after: [decode]}
  features: {kind: features, after: [synchronise]}
"""


def load(folder: Path, text: str):
    (folder / "pipeline.yaml").write_text(text)
    return load_pipeline(folder, load_mesh(folder, Settings()))


def test_without_a_file_the_chain_ends_at_its_own_detector(tmp_path):
    plan = load_pipeline(tmp_path, load_mesh(tmp_path, Settings()))
    assert plan == PipelinePlan(DEFAULT_STAGES)


def test_everything_can_be_said(tmp_path):
    plan = load(
        tmp_path,
        """
        group: chain
        deadline_ms: 500
        batch: {records: 100, linger_ms: 20, in_flight: 2}
        snapshot_ms: 1000
        late_topic: late
        levels: {behind_ms: [10, 20, 30], recover: 0.25, hold_ms: 40}
        stages:
          alert: {kind: alert, after: [score], upto: L2}
          score:
            {kind: score, after: [features], share: 0.2, upto: L1, required: false, retries: 2, endpoints: {L0: default}}
          features: {kind: features, after: [synchronise]}
          synchronise: {kind: synchronise, after: [decode]}
          decode: {kind: decode}
        """,
    )
    assert [stage.name for stage in plan.stages] == ["decode", "synchronise", "features", "score", "alert"]
    score = plan.stages[3]
    assert (score.share, score.upto, score.required, score.retries) == (0.2, Level.LIGHT, False, 2)
    assert score.endpoints == {Level.FULL: "default"}
    assert plan.levels == LevelRules((10, 20, 30), 0.25, 40)
    assert (plan.group, plan.deadline_ms, plan.snapshot_ms, plan.late_topic) == ("chain", 500, 1_000, "late")
    assert (plan.batch_records, plan.linger_ms, plan.in_flight) == (100, 20, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            STAGES + "  detect: {kind: detect, after: [feature]}",
            r"pipeline.yaml:5: stages.detect.after: there is no stage 'feature'; did you mean 'features'\?",
        ),
        (
            STAGES + "  score: {kind: score, after: [features]}",
            r":5: stages.score.*say whom to ask, as \{L0:",
        ),
        (
            STAGES + "  score:\n    kind: score\n    after: [features]\n    endpoints: {L0: defualt}",
            r":8: stages.score.endpoints.L0: the mesh has no endpoint 'defualt'; did you mean 'default'\?",
        ),
        (
            STAGES + "  score: {kind: score, after: [features], endpoints: {L7: default}}",
            r":5: stages.score.endpoints.*L7",
        ),
        (
            STAGES + "  again: {kind: detekt, after: [features]}",
            r":5: stages.again.kind: .*did you mean 'detect'",
        ),
        (
            STAGES + "  again: {knd: detect, after: [features]}",
            r"stages.again.knd: unknown key; did you mean 'kind'",
        ),
        (
            STAGES + "  late: {kind: alert, after: [features], share: 0.9}",
            r":5: stages.late.share: .*add up to 120%",
        ),
        (
            STAGES + "  alerts: {kind: alert, after: [features], share: 0}",
            r":5: stages.alerts.share: must be above 0, got 0",
        ),
        (
            STAGES + "  alerts: {kind: alert, after: [features], retries: 11}",
            r"stages.alerts.retries: must be at most 10",
        ),
        ("stages:\n  decode: {kind: decode}", r":1: stages: there is no synchronise stage"),
        (
            "levels:\n  behind_ms: [3, 2, 9]",
            r":1: levels: behind_ms must grow from level to level, got \[3, 2, 9\]",
        ),
        ("levels:\n  behind_ms: [5, 5, 9]", r"behind_ms must grow from level to level"),
        ("levels: {recover: 1.0}", r":1: levels.recover: must be below 1"),
        (
            "deadline_ms: 100\nbatch:\n  linger_ms: 100",
            r":3: batch.linger_ms: the deadline of 100 ms cannot be met: a batch may wait for 100 ms",
        ),
        ("snapshot_ms: 50", r":1: snapshot_ms: must be at least 100, got 50"),
        ("batch: {in_flight: 0}", r":1: batch.in_flight: must be at least 1, got 0"),
    ],
)
def test_a_mistake_is_named_with_line_key_and_fix(tmp_path, text, message):
    with pytest.raises(InvalidConfig, match=message):
        load(tmp_path, text)


def test_all_mistakes_are_named_at_once(tmp_path):
    wrong = "deadline_ms: 100\nbatch: {linger_ms: 200}\n" + STAGES + "  one: {kind: alert, after: [nobody]}\n"
    with pytest.raises(InvalidConfigs) as raised:
        load(tmp_path, wrong)
    assert [problem.key for problem in raised.value.problems] == ["batch.linger_ms", "stages.one.after"]


def test_every_unknown_endpoint_is_named(tmp_path):
    wrong = STAGES + "  score: {kind: score, after: [features], endpoints: {L0: one, L2: two}}"
    with pytest.raises(InvalidConfigs) as raised:
        load(tmp_path, wrong)
    assert [problem.key for problem in raised.value.problems] == [
        "stages.score.endpoints.L0",
        "stages.score.endpoints.L2",
    ]


def test_a_file_that_nobody_reads_is_refused(tmp_path):
    (tmp_path / "pipeline.yml").write_text("group: chain")
    with pytest.raises(InvalidConfig, match=r"pipeline.yml: is not read: name it pipeline.yaml"):
        load_pipeline(tmp_path, load_mesh(tmp_path, Settings()))
