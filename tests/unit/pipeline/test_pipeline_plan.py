"""The declared stages: every mistake with its key and fix, their order, and how much of the deadline each may use."""

from dataclasses import replace

import pytest

from mesh.pipeline.plan import DEFAULT_STAGES, Level, PipelinePlan, StagePlan, in_order, problems

DECODE, SYNCHRONISE, DENOISE, FEATURES, DETECT, ALERT = DEFAULT_STAGES
SCORE = StagePlan("score", "score", ("features",), 0.2, endpoints={Level.FULL: "anomaly"})


def stages(*changed, without=()):
    """The default stages, those of the same name replaced and others added."""
    named = {stage.name: stage for stage in (*DEFAULT_STAGES, *changed)}
    return [stage for name, stage in named.items() if name not in without]


def found(*changed, without=()):
    return [(".".join(path), reason) for path, reason in problems(stages(*changed, without=without))]


def test_the_default_stages_fit():
    assert problems(DEFAULT_STAGES) == []
    assert problems([*DEFAULT_STAGES, SCORE]) == []


@pytest.mark.parametrize(
    ("changed", "key", "reason"),
    [
        (
            replace(DETECT, after=("feature",)),
            "stages.detect.after",
            "there is no stage 'feature'; did you mean 'features'?",
        ),
        (
            replace(DETECT, after=("denoise",)),
            "stages.detect.after",
            "'denoise' gives steps, and detect takes rows",
        ),
        (
            replace(DETECT, after=()),
            "stages.detect.after",
            "say after which stage it comes: one that gives rows",
        ),
        (
            StagePlan("score", "score", ("features", "detect"), endpoints={Level.FULL: "m"}),
            "stages.score.after",
            "score comes after one stage, got features, detect",
        ),
        (
            StagePlan("again", "detect", ("score",)),
            "stages.again.after",
            "detect runs before models are asked: put it after features, and the score after it",
        ),
        (replace(SCORE, endpoints={}), "stages.score.endpoints", "say whom to ask, as {L0: NAME}"),
        (
            replace(DETECT, endpoints={Level.FULL: "anomaly"}),
            "stages.detect.endpoints",
            "detect asks nobody: only score has endpoints",
        ),
        (
            replace(FEATURES, required=False),
            "stages.features.required",
            "without features there are no features: it is required",
        ),
        (
            replace(DENOISE, upto=Level.LIGHT),
            "stages.denoise.upto",
            "features are the same at every level: denoise runs up to L3",
        ),
        (
            replace(ALERT, share=0.6),
            "stages.alert.share",
            "the deadline cannot be met: the shares up to here add up to 110%",
        ),
    ],
)
def test_a_mistake_is_named_with_its_key_and_what_would_be_right(changed, key, reason):
    assert found(SCORE, changed) == [(key, reason)]


def test_decode_comes_after_nothing():
    mistakes = found(replace(DECODE, after=("alert",)))
    assert ("stages.decode.after", "decode reads the raw topic: it comes after nothing") in mistakes
    assert ("stages.decode.after", "'alert' gives alerts, and decode takes records") in mistakes


def test_a_circle_is_read_in_the_order_of_waiting():
    one = StagePlan("one", "denoise", ("three",))
    two = StagePlan("two", "denoise", ("one",))
    three = StagePlan("three", "denoise", ("two",))
    (key, reason) = found(one, two, three)[0]
    assert reason == "stages in a circle: one after three after two after one"
    assert key == "stages.one.after"
    assert found(replace(DENOISE, after=("denoise",))) == [
        ("stages.denoise.after", "stages in a circle: denoise after denoise")
    ]


@pytest.mark.parametrize("there", [(), (DECODE,), (DECODE, SYNCHRONISE)])
def test_what_makes_features_must_be_there(there):
    missing = ("decode", "synchronise", "features")[len(there) :]
    assert problems(there) == [(("stages",), f"there is no {kind} stage") for kind in missing]


@pytest.mark.parametrize(
    "second",
    [
        StagePlan("second", "decode"),
        StagePlan("second", "synchronise", ("decode",)),
        StagePlan("second", "features", ("denoise",)),
        StagePlan("second", "alert", ("features",)),
    ],
)
def test_there_is_one_of_each_kind_that_holds_the_chain_together(second):
    first = second.kind
    assert found(second) == [
        ("stages.second", f"there can be one {second.kind} stage, '{first}' is one already")
    ]


def test_the_wiring_is_judged_before_everything_that_needs_it():
    both = found(replace(DETECT, after=("nobody",)), replace(ALERT, share=0.9))
    assert [key for key, _ in both] == ["stages.detect.after"]


def test_stages_run_after_those_that_they_wait_for_whatever_order_they_were_declared_in():
    for shuffled in (DEFAULT_STAGES[::-1], DEFAULT_STAGES[3:] + DEFAULT_STAGES[:3]):
        assert in_order(shuffled) == DEFAULT_STAGES
    names = [stage.name for stage in in_order([SCORE, *DEFAULT_STAGES])]
    assert names.index("score") > names.index("features")
    assert len(names) == 7


@pytest.mark.parametrize("wrong", [replace(DENOISE, after=("denoise",)), replace(DENOISE, after=("nobody",))])
def test_what_cannot_be_put_in_order_is_an_error(wrong):
    with pytest.raises(ValueError, match="the stages cannot be put in order"):
        in_order(stages(wrong))


def test_a_share_is_that_of_the_longest_way_to_a_stage():
    judged = replace(ALERT, after=("detect", "score"))
    plan = PipelinePlan(in_order([*DEFAULT_STAGES[:-1], SCORE, judged]))
    assert plan.share_until("features") == pytest.approx(0.4)
    assert plan.share_until("detect") == pytest.approx(0.5)
    assert plan.share_until("score") == pytest.approx(0.6)
    assert plan.share_until("alert") == pytest.approx(0.7)


def test_shares_may_use_up_the_whole_deadline():
    assert found(replace(ALERT, share=0.5)) == []


def test_the_endpoint_of_the_highest_level_that_is_reached_is_asked():
    asks = replace(SCORE, upto=Level.CHEAP, endpoints={Level.FULL: "heavy", Level.CHEAP: "rules"})
    assert [asks.endpoint_at(level) for level in Level] == ["heavy", "heavy", "rules", None]
    late = replace(SCORE, endpoints={Level.LIGHT: "light"})
    assert [late.endpoint_at(level) for level in Level] == [None, "light", "light", "light"]
