from dataclasses import dataclass

import numpy as np
import pytest
from rollout_cases import plan

from mesh.rollouts.plan import AlertRule
from mesh.rollouts.statistics.quantiles import bin_of
from mesh.rollouts.tally import Counted, PairSeen
from mesh.rollouts.watching import MAX_PAIRS, Watch, alerts_of
from mesh.routing.types import Answer, Origin


@dataclass(frozen=True)
class Key:
    endpoint: str = "default"
    primary: str = "old"
    shadow: str = "new"


@dataclass(frozen=True)
class Rows:
    keys: list[str]
    scores: tuple[np.ndarray, np.ndarray]
    key: Key = Key()
    labels: tuple[list[object], list[object]] = ((), ())  # type: ignore[assignment]


def watching() -> Watch:
    watch = Watch()
    watch.follow([plan()])
    return watch


def rows(primary: list[float], candidate: list[float], keys: list[str], key: Key = Key()) -> Rows:
    return Rows(keys, (np.array(primary), np.array(candidate)), key)


def test_rows_of_one_key_and_window_are_one_pair_that_alerts_where_any_row_does() -> None:
    watch = watching()
    watch.compared(rows([0.9, 0.1, 0.1], [0.1, 0.1, np.nan], ["a", "b", "a"]), 5_100)
    watch.compared(rows([0.1], [0.8], ["a"]), 5_900)
    watch.compared(rows([0.1], [0.8], ["a"]), 6_000)
    seen = watch.take()["try"]
    assert set(seen.pairs) == {
        PairSeen("a", 5, True, True), PairSeen("b", 5, False, False), PairSeen("a", 6, False, True),
    }  # fmt: skip
    assert watch.take() == {}


@pytest.mark.parametrize("key", [Key(endpoint="x"), Key(primary="x"), Key(shadow="x")])
def test_other_comparisons_are_not_this_rollouts(key: Key) -> None:
    watch = watching()
    watch.compared(rows([1.0], [0.0], ["a"], key), 0)
    assert watch.take() == {}


def test_calls_are_counted_by_arm_and_only_answered_ones_are_timed() -> None:
    watch = watching()
    for model, answered in (("new", True), ("new", False), ("old", True), ("other", True)):
        watch.called(model, answered, 0.004)
    seen = watch.take()["try"]
    assert seen.counted["error_rate"] == {"candidate": Counted(1, 2), "primary": Counted(0, 1)}
    assert seen.latencies["candidate"].counts == {bin_of(4.0): 1}


def test_rows_are_counted_by_who_answered() -> None:
    watch = watching()
    origins = tuple(Origin(name, "1", "main", "primary") for name in ("old", "new", "other"))
    answer = Answer({}, None, origins, np.array([0, 1, 1, 2, -1]), np.zeros(5, np.bool_), {}, "")
    watch.answered("default", answer)
    watch.answered("elsewhere", answer)
    assert watch.take()["try"].rows == {"primary": 1, "candidate": 2}


def test_what_waits_is_bounded_and_what_is_lost_is_counted() -> None:
    watch = watching()
    zeros = np.zeros(MAX_PAIRS + 7)
    watch.compared(Rows([f"u{n}" for n in range(MAX_PAIRS + 7)], (zeros, zeros)), 0)
    seen = watch.take()["try"]
    assert (len(seen.pairs), seen.lost) == (MAX_PAIRS, 7)


def test_a_candidate_that_says_nothing_is_not_taken_for_one_that_finds_nothing() -> None:
    watch = watching()
    watch.compared(rows([0.1, 0.9, np.nan], [np.nan, np.nan, 0.9], ["a", "b", "c"]), 0)
    seen = watch.take()["try"]
    assert (seen.pairs, seen.lost) == ((), 3)
    by_label = Watch()
    by_label.follow([plan(alert=AlertRule(labels=("hot",)))])
    none = np.full(4, np.nan)
    labels: tuple[list[object], list[object]] = (["hot", "cold", "cold", None], [None, "cold", None, None])
    by_label.compared(Rows(["a", "b", "c", "d"], (none, none), labels=labels), 0)
    seen = by_label.take()["try"]
    assert (seen.pairs, seen.lost) == ((PairSeen("a", 0, True, False), PairSeen("b", 0, False, False)), 2)


def test_what_was_seen_of_a_rollout_outlives_a_look_at_the_book_and_not_its_end() -> None:
    watch = watching()
    watch.called("new", True, 0.001)
    watch.follow([plan(), plan(name="more")])
    assert set(watch.take()) == {"try"}
    watch.called("new", True, 0.001)
    watch.follow([plan(alpha=0.01)])
    assert watch.take() == {}
    watch.follow([])
    assert not watch.watching


def test_labels_alert_by_name_and_no_label_never_does() -> None:
    rule = AlertRule(labels=("hot", "1"))
    assert alerts_of(rule, ["hot", "cold", None, 1], np.zeros(4)).tolist() == [True, False, False, True]
