"""One rule at a time: when an alert opens, what it says, and when it clears. Times are seconds of the rows."""

from dataclasses import replace

import numpy as np
import pytest

from mesh.alerts import ORIGIN, AlertStage, Place, Rule
from mesh.alerts.events import alert_id
from mesh.alerts.summary import read_summary
from mesh.routing.when import compile_when
from tests.fakes.scored_rows import part, rows

NAN = float("nan")


def rule(when="score > 0.5", clear_when=None, **options) -> Rule:
    seconds = {
        name: int(options.pop(name, 0) * 1_000) for name in ("hold", "hold_off", "dedup", "clear_hold")
    }
    return Rule(
        name=options.pop("name", "hot"),
        when=compile_when(when),
        severity="warning",
        summary=read_summary(options.pop("summary", "{asset}: {score:.1f}")),
        hold_ms=seconds["hold"],
        hold_off_ms=seconds["hold_off"],
        dedup_ms=seconds["dedup"],
        clear_when=None if clear_when is None else compile_when(clear_when),
        clear_hold_ms=seconds["clear_hold"],
        **options,
    )


def told(of: Rule, scores, seconds=None, asset="a"):
    """Kind, second and count of each event for one asset's scores, a second apart."""
    seconds = range(len(scores)) if seconds is None else seconds
    batch = rows([asset] * len(scores), seconds, {"score": np.array(scores)})
    return [(one.kind, one.at / 1_000, one.count) for one in AlertStage([of]).take(batch).events]


def test_an_alert_opens_once_and_clears_by_itself():
    assert told(rule(dedup=99), [0, 1, 1, 1, 0, 0]) == [("opened", 1, 1), ("cleared", 4, 3)]


def test_the_condition_must_hold_for_its_time():
    assert told(rule(hold=2, dedup=99), [1, 1, 0, 1, 1, 1, 1]) == [("opened", 5, 3)]


def test_an_open_alert_is_told_again_at_most_once_in_its_time_with_all_rows_counted():
    assert told(rule(dedup=3), [1] * 8) == [("opened", 0, 1), ("updated", 3, 4), ("updated", 6, 7)]


def test_none_opens_for_the_same_key_until_its_hold_off_is_over():
    stage = AlertStage([rule(hold_off=4, dedup=99)])
    judged = stage.take(rows(["a"] * 7, range(7), {"score": np.array([1, 0, 1, 0, 1, 1, 0])}))
    assert [(one.kind, one.at) for one in judged.events] == [
        ("opened", 0), ("cleared", 1_000), ("opened", 4_000), ("cleared", 6_000),
    ]  # fmt: skip
    assert judged.held_off == ("hot",)


def test_what_still_holds_when_the_hold_off_ends_opens_then():
    events = told(rule(hold_off=5, dedup=99), [1, 0, 1, 1, 1, 1, 1])
    assert events == [("opened", 0, 1), ("cleared", 1, 1), ("opened", 5, 4)]


def test_between_the_two_conditions_an_alert_stays_open():
    events = told(
        rule(clear_when="score < 0.2", clear_hold=2, dedup=99), [1, 0.4, 0.1, 0.1, 0.4, 0.1, 0.1, 0.1]
    )
    assert events == [("opened", 0, 1), ("cleared", 7, 1)]


def test_a_row_that_would_open_it_never_counts_towards_clearing():
    events = told(rule(clear_when="score > 0", clear_hold=1, dedup=99), [1, 1, 1, 0.4, 0.4])
    assert events == [("opened", 0, 1), ("cleared", 4, 3)]


def test_a_missing_score_clears_by_default_and_not_where_clear_when_reads_it():
    assert told(rule(dedup=99), [1, NAN])[-1][0] == "cleared"
    assert told(rule(clear_when="score < 0.2", dedup=99), [1, NAN]) == [("opened", 0, 1)]


def test_assets_have_conditions_of_their_own():
    batch = rows(["a", "b", "a", "b"], [0, 0, 2, 2], {"score": np.array([1.0, 0, 1, 1])})
    events = AlertStage([rule(hold=2)]).take(batch).events
    assert [(one.asset, one.kind) for one in events] == [("a", "opened")]


def test_a_key_tells_the_alerts_of_one_asset_apart():
    batch = rows(["a"] * 4, range(4), {"score": np.array([1.0, 1, 0, 0]), "mode": ["x", 2.0, "x", None]})
    events = AlertStage([rule(key="mode", dedup=99)]).take(batch).events
    assert [(one.kind, one.key) for one in events] == [
        ("opened", "a/x"),
        ("opened", "a/2"),
        ("cleared", "a/x"),
    ]


def test_an_event_says_what_caused_it():
    of = rule(hold=1, summary="{asset} at {site}: {score:.2f} {gone}", runbook="r.md")
    columns = {"score": np.array([0.9, 0.75], np.float32), "site": ["north", "north"]}
    (event,) = AlertStage([of]).take(rows(["a", "a"], [1, 2], columns, first_offset=40)).events
    assert (event.first, event.record) == (Place("raw", 0, 40), Place("raw", 0, 41))
    assert (event.since, event.opened_at, event.at, event.count) == (1_000, 2_000, 2_000, 2)
    assert event.summary == "a at north: 0.75 -"
    assert event.values == {"asset": "a", "gone": None, "score": 0.75, "site": "north"}
    assert (event.rule, event.severity, event.runbook) == ("hot", "warning", "r.md")


def test_an_alert_says_who_scored_its_row_where_that_is_known():
    columns = {"score": np.array([0.9, 0.9]), "model": ["m@2", ""], "version": ["2", ""]}
    known, unknown = AlertStage([rule()]).take(rows(["a", "b"], [1, 1], columns)).events
    assert {name: known.values.get(name) for name in ORIGIN} == {"model": "m@2", "version": "2"}
    assert not set(ORIGIN) & set(unknown.values)


def test_ids_are_of_rule_key_and_first_record_alone():
    def id_of(of, scores, first_offset=0, asset="a"):
        batch = rows([asset] * len(scores), range(len(scores)), {"score": np.array(scores)}, first_offset)
        return AlertStage([of]).take(batch).events[0].id

    known = id_of(rule(), [1])
    assert known == "1fc74e8f1a678dd95d22", "ids are in people's tickets: they never change"
    assert id_of(rule(dedup=5, runbook="new"), [0.9]) == known
    assert (
        len({known, id_of(rule(name="dry"), [1]), id_of(rule(), [1], 1), id_of(rule(), [1], asset="b")}) == 4
    )


@pytest.mark.parametrize("restarted", [False, True])
def test_alerts_that_begin_with_the_same_record_are_told_apart(restarted):
    """A record after a silence closes several rows at once."""
    scores = np.array([0, 1, 0, 1, 0, 1, 1, 0])
    whole = replace(rows(["a"] * 8, range(8), {"score": scores}), offset=np.array([4, 5, 5, 5, 5, 5, 6, 7]))
    stage, events = AlertStage([rule(dedup=99)]), []
    for begin, end in ((0, 1), (1, 6), (6, 7), (7, 8)):
        if restarted:
            kept = stage.dump(["a"])
            stage = AlertStage([rule(dedup=99)])
            stage.load(kept)
        events += stage.take(part(whole, begin, end)).events
    assert [(one.kind, one.at // 1_000) for one in events] == [
        ("opened", 1), ("cleared", 2), ("opened", 3), ("cleared", 4), ("opened", 5), ("cleared", 7),
    ]  # fmt: skip
    ids = [one.id for one in events]
    assert ids[0::2] == ids[1::2]
    assert len(set(ids)) == 3
    assert ids[0] == alert_id("hot", "a", Place("raw", 0, 5))


def test_an_opened_an_updated_and_a_cleared_event_have_one_id():
    batch = rows(["a"] * 3, range(3), {"score": np.array([1, 1, 0])})
    assert len({one.id for one in AlertStage([rule()]).take(batch).events}) == 1


def test_a_clock_that_was_set_back_makes_no_wait_longer_than_declared():
    of = rule(hold=2, hold_off=10, clear_hold=2, dedup=99)
    assert told(of, [1, 1, 1], [100, 5, 7]) == [("opened", 7, 3)]
    events = told(of, [1, 1, 0, 0, 1, 1, 1], [100, 102, 103, 105, 1, 3, 12])
    assert events[-1] == ("opened", 12, 3)  # quiet until 11 at the most, by the new clock
    assert told(of, [1, 1, 0, 0], [100, 102, 50, 52])[-1] == ("cleared", 52, 2)


def test_rules_are_judged_each_for_itself_in_the_order_of_rows():
    hot, dry = rule(), rule("flow < 1", name="dry", summary="{asset}")
    columns = {"score": np.array([0.0, 1, 0]), "flow": np.array([0.5, 2, 2])}
    events = AlertStage([hot, dry]).take(rows(["a"] * 3, range(3), columns)).events
    assert [(one.rule, one.kind, one.at) for one in events] == [
        ("dry", "opened", 0), ("hot", "opened", 1_000), ("dry", "cleared", 1_000), ("hot", "cleared", 2_000),
    ]  # fmt: skip


def test_reads_names_what_rows_should_bring():
    assert AlertStage([rule("a.b > 1", "c < 2", key="k", summary="{d}")]).reads == {"a.b", "c", "d", "k"}


def test_a_column_that_no_row_has_holds_nowhere():
    assert AlertStage([rule()]).take(rows(["a"], [0], {})).events == ()


def test_a_rule_may_read_the_asset():
    assert AlertStage([rule('asset in ["b"]')]).take(rows(["a", "b"], [0, 0], {})).events[0].asset == "b"


def test_keys_past_the_bound_make_room_and_are_counted():
    stage = AlertStage([rule(key="mode", dedup=99)], max_keys=2)
    batch = rows(["a"] * 5, range(5), {"score": np.ones(5), "mode": ["x", "y", "x", "z", "x"]})
    judged = stage.take(batch)
    assert judged.forgotten_keys == 1
    assert [one.key for one in judged.events] == ["a/x", "a/y", "a/z"]  # y went, x had been heard later


def test_assets_past_the_bound_make_room_and_are_named():
    stage = AlertStage([rule(dedup=99)], max_assets=2)
    stage.take(rows(["a", "b"], [0, 0], {"score": np.ones(2)}))
    judged = stage.take(rows(["a", "c", "idle"], [1, 1, 1], {"score": np.array([1.0, 1, 0])}))
    assert judged.forgotten_assets == ("b",)
    assert set(stage.dump(["a", "b", "c", "idle"])) == {"a", "c"}


def test_what_is_quiet_takes_no_memory():
    stage = AlertStage([rule(hold_off=5)])
    stage.take(rows(["a"] * 2, [0, 1], {"score": np.array([1, 0])}))
    assert set(stage.dump(["a"])) == {"a"}, "it must not open again before its hold-off is over"
    stage.take(rows(["a"], [6], {"score": np.zeros(1)}))
    assert stage.dump(["a"]) == {}


def test_a_dumped_asset_goes_on_where_it_was():
    of = rule(hold=2, dedup=99)
    stage, other = AlertStage([of]), AlertStage([of])
    stage.take(rows(["a", "a"], [0, 1], {"score": np.ones(2)}))
    dumped = stage.dump(["a", "unknown"])
    assert set(dumped) == {"a"}
    assert len(dumped["a"]) < 120
    assert other.load(dumped) == 0
    (event,) = other.take(rows(["a"], [2], {"score": np.ones(1)}, first_offset=2)).events
    assert (event.count, event.first) == (3, Place("raw", 0, 0))


def test_loading_replaces_forgetting_removes_and_rules_that_are_gone_are_counted():
    stage = AlertStage([rule()])
    stage.take(rows(["a"], [0], {"score": np.ones(1)}))
    dumped = stage.dump(["a"])
    assert AlertStage([rule(name="new")]).load(dumped) == 1
    stage.forget(["a"])
    assert stage.dump(["a"]) == {}
    stage.load(dumped)
    assert stage.dump(["a"]) == dumped


@pytest.mark.parametrize(
    "state", [b"", b"{}", b"[1]", b'{"version":2,"rules":{}}', b'{"version":1,"rules":{"hot":{"a":{}}}}']
)
def test_a_state_that_cannot_be_read_names_the_asset(state):
    with pytest.raises(ValueError, match="asset 'pump-7' cannot be read"):
        AlertStage([rule()]).load({"pump-7": state})


def test_evidence_is_what_json_can_hold():
    odd = {
        "big": [10**400],
        "half": ["\ud800x"],
        "list": [[1]],
        "inf": np.array([np.inf]),
        "long": ["y" * 999],
        "n": np.array([7]),
    }
    of = rule("score > 0.5", summary="{big}{half}{list}{inf}{long}{n}", key="half")
    (event,) = AlertStage([of]).take(rows(["a"], [0], {"score": np.ones(1), **odd})).events
    shown = {name: event.values[name] for name in ("big", "half", "list", "inf", "n")}
    assert shown == {"big": None, "half": "?x", "list": None, "inf": None, "n": 7}
    assert len(event.values["long"]) == 200
    assert event.key == "a/?x"


def test_a_long_key_is_cut_and_still_its_own():
    batch = rows(["a", "a"], [0, 1], {"score": np.ones(2), "mode": ["m" * 5_000, "m" * 5_001]})
    keys = [one.key for one in AlertStage([rule(key="mode")]).take(batch).events]
    assert len(set(keys)) == 2
    assert max(map(len, keys)) < 150
