from dataclasses import replace

import pytest
from rollout_cases import (
    ALERTS,
    ALIKE,
    APART,
    APPROVAL,
    CANARY,
    FLIPPED,
    FPR,
    HALF,
    NOTHING,
    PROMOTE,
    SHADOW,
    plan,
)

from mesh.errors import InvalidInput, WrongState
from mesh.rollouts.judging import judge
from mesh.rollouts.machine import Situation, aborted, approved, decided, missing_in, paused, resumed
from mesh.rollouts.plan import Guard, Plan
from mesh.rollouts.states import ENDED, MOVES, Rollout, begun, moved
from mesh.rollouts.tally import Counted, Tally


def at(made: Plan, tally: Tally, now_ms: int, guards: dict[Guard, str] | None = None) -> Situation:
    return Situation(tally, judge(made, tally), guards or {}, now_ms)


def started(made: Plan) -> Rollout:
    return decided(begun(made, "ann", 0), at(made, NOTHING, 0))


def test_success_goes_from_step_to_step_and_no_further() -> None:
    made = plan(SHADOW, CANARY, HALF, PROMOTE)
    one = started(made)
    assert (one.state, one.step) == ("Shadowing", 0)
    two = decided(one, at(made, ALIKE, 1_000))
    assert (two.state, two.step) == ("Progressing", 1)
    assert decided(two, at(made, ALIKE, 60_999)) is two  # its hold is not over
    three = decided(two, at(made, ALIKE, 61_000))
    assert (three.state, three.step) == ("Progressing", 2)
    four = decided(three, at(made, ALIKE, 61_001))
    assert four.state == "Promoting"
    assert decided(four, at(made, ALIKE, 61_002)) is four
    assert [move.generation for move in four.history] == list(range(1, four.generation + 1))


@pytest.mark.parametrize("pause", [None, "person", "approval", "guard", "error", "inconclusive"])
def test_failure_rolls_back_from_anywhere_and_says_why(pause: str | None) -> None:
    made = plan()
    one = started(made)
    if pause is not None:
        one = moved(one, "pause", now_ms=1, pause=pause)  # type: ignore[arg-type]
    after = decided(one, at(made, FLIPPED, 2))
    assert after.state == "RollingBack"
    assert "alerts: 90.00% of 1,000 windows, 5.00% allowed" in after.reason


def test_missing_data_is_inconclusive_pauses_and_never_promotes() -> None:
    made = plan()
    one = started(made)
    assert decided(one, at(made, NOTHING, 3_599_999)) is one
    two = decided(one, at(made, NOTHING, 3_600_000))
    assert (two.state, two.pause) == ("Paused", "inconclusive")
    assert "0 of 100 windows" in two.reason
    assert decided(two, at(made, ALIKE, 9_999_999)) is two  # a person decides


def test_a_metric_without_data_holds_the_promotion() -> None:
    made = plan(CANARY, PROMOTE, metrics=(ALERTS, FPR))
    one = started(made)
    assert missing_in(one, at(made, ALIKE, 1)) == ["fpr: nothing seen, 10.00% more allowed"]
    assert decided(one, at(made, ALIKE, 100_000)) is one
    reviewed = {"reviewed_fpr": {"primary": Counted(5, 900), "candidate": Counted(5, 900)}}
    assert decided(one, at(made, replace(ALIKE, counted=reviewed), 100_000)).state == "Promoting"  # type: ignore[arg-type]


def test_a_step_needs_only_what_is_due_by_its_end() -> None:
    made = plan(SHADOW, CANARY, HALF, PROMOTE, metrics=(ALERTS, replace(FPR, due="canary")))
    one = decided(started(made), at(made, ALIKE, 1))
    assert one.step == 1
    assert missing_in(one, at(made, ALIKE, 2)) == ["fpr: nothing seen, 10.00% more allowed"]
    late = plan(SHADOW, CANARY, HALF, PROMOTE, metrics=(ALERTS, FPR))
    assert missing_in(decided(started(late), at(late, ALIKE, 1)), at(late, ALIKE, 2)) == []


def test_a_metric_that_is_not_critical_pauses_and_a_person_may_go_on_all_the_same() -> None:
    made = plan(metrics=(ALERTS, replace(APART, critical=False)))
    apart = Tally(only_primary=250, only_candidate=250, both=50, neither=4_450, rows={"candidate": 500})
    worse = replace(apart, only_primary=700, only_candidate=700)
    two = decided(started(made), at(made, worse, 1))
    assert (two.state, two.pause) == ("Paused", "inconclusive")
    assert two.reason.startswith("apart (not critical)")
    three = resumed(two, "ann", "known", at(made, worse, 2))
    assert three.state == "Shadowing"
    assert three.accepted == ("apart",)
    assert decided(three, at(made, worse, 3)).state == "Progressing"


def test_a_dry_run_decides_nothing() -> None:
    made = plan(metrics=(ALERTS, replace(APART, dry_run=True)))
    half = Tally(only_primary=500, only_candidate=500, neither=20_000)
    assert decided(started(made), at(made, half, 1)).state == "Progressing"


def test_a_guard_freezes_and_lets_go_by_itself_but_never_holds_up_a_rollback() -> None:
    made = plan(freeze_when=("slo_burn",))
    one = started(made)
    assert decided(one, at(made, ALIKE, 1, {"drift": "x"})).state == "Progressing"  # not one of this plan's
    two = decided(one, at(made, ALIKE, 1, {"slo_burn": "14x"}))
    assert (two.state, two.pause, two.reason) == ("Paused", "guard", "slo_burn: 14x")
    assert decided(two, at(made, ALIKE, 2, {"slo_burn": "14x"})) is two
    assert decided(two, at(made, ALIKE, 3)).state == "Shadowing"
    assert decided(two, at(made, FLIPPED, 3, {"slo_burn": "14x"})).state == "RollingBack"


def test_approval_is_by_role_and_only_when_it_is_waited_for() -> None:
    made = plan(SHADOW, APPROVAL, CANARY, PROMOTE)
    one = started(made)
    with pytest.raises(WrongState, match="Shadowing"):
        approved(one, "bob", ["analyst"], "", at(made, ALIKE, 1))
    two = decided(one, at(made, ALIKE, 1))
    assert (two.state, two.pause) == ("Paused", "approval")
    with pytest.raises(InvalidInput, match="analyst"):
        approved(two, "bob", ["viewer"], "", at(made, ALIKE, 2))
    with pytest.raises(WrongState, match="approval"):
        resumed(two, "bob", "", at(made, ALIKE, 2))
    three = approved(two, "bob", ["viewer", "analyst"], "fine", at(made, ALIKE, 2))
    assert (three.state, three.step, three.history[-1].actor) == ("Progressing", 2, "bob")


def test_an_approval_of_a_promotion_whose_evidence_is_gone_is_refused() -> None:
    made = plan(SHADOW, APPROVAL, PROMOTE)
    two = decided(started(made), at(made, ALIKE, 1))
    with pytest.raises(WrongState, match="not shown any more"):
        approved(two, "bob", ["analyst"], "", at(made, NOTHING, 2))
    assert approved(two, "bob", ["analyst"], "", at(made, ALIKE, 2)).state == "Promoting"


@pytest.mark.parametrize(("on_timeout", "state"), [("pause", "Paused"), ("rollback", "RollingBack")])
def test_an_approval_that_comes_too_late_never_promotes(on_timeout: str, state: str) -> None:
    made = plan(SHADOW, replace(APPROVAL, on_timeout=on_timeout), PROMOTE)
    two = decided(started(made), at(made, ALIKE, 1))
    assert decided(two, at(made, ALIKE, 600_000)) is two
    three = decided(two, at(made, ALIKE, 600_001))
    assert three.state == state
    assert "nobody approved" in three.reason
    assert decided(three, at(made, ALIKE, 9_000_000)) is three


def test_a_person_pauses_resumes_and_aborts() -> None:
    made = plan()
    one = paused(started(made), "ann", "lunch", 5)
    assert (one.state, one.pause, one.reason) == ("Paused", "person", "lunch")
    assert decided(one, at(made, ALIKE, 10_000_000)) is one
    two = resumed(one, "ann", "", at(made, ALIKE, 7))
    assert (two.state, two.began_ms) == ("Shadowing", 7)
    three = aborted(two, "ann", "", 8)
    assert (three.state, three.aborting) == ("RollingBack", True)


def test_what_has_ended_takes_no_wish_but_a_warm_promotion_can_be_taken_back() -> None:
    made = plan()
    promoting = moved(started(made), "promote", now_ms=1, step=2)
    warm = moved(promoting, "finish", now_ms=2)
    assert aborted(warm, "ann", "worse after all", 3).state == "RollingBack"
    with pytest.raises(WrongState, match="no longer kept"):
        aborted(replace(warm, warm=False), "ann", "", 3)
    done = moved(moved(started(made), "fail", now_ms=1), "rolled_back", now_ms=2)
    for wish in (lambda: aborted(done, "a", "", 3), lambda: paused(done, "a", "", 3)):
        with pytest.raises(WrongState):
            wish()


def test_the_table_of_moves_ends_where_it_says_and_every_state_can_be_reached() -> None:
    reached = {"Pending"} | {after for moves in MOVES.values() for after in moves.values()}
    assert reached == set(MOVES)
    assert {"Promoted", "RolledBack", "Aborted"} == ENDED
    assert not MOVES["RolledBack"]
    assert not MOVES["Aborted"]
    assert set(MOVES["Promoted"]) == {"abort"}
    with pytest.raises(WrongState):
        moved(begun(plan(), "ann", 0), "finish", now_ms=1)
