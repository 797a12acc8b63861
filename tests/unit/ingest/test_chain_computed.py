"""What a poll gives: windows with their places, what is late or refused, and who was forgotten to make room."""

from dataclasses import replace

import numpy as np
import pytest
from telemetry_made import BEGAN_MS, TELEMETRY, chain, polled, record, records

from ingest.record import RejectKind
from ingest.telemetry.chain import AssetState, early, split
from mesh.pipeline.plan import DEFAULT_STAGES, Level, PipelinePlan, StagePlan, in_order

SCORE = StagePlan("score", "score", ("detect",), 0.2, endpoints={Level.FULL: "m"})


def test_a_window_names_its_asset_its_time_and_the_record_that_closed_it():
    values = [*records("pump-1", 0, 4), b"garbage", *records("pump-1", 4, 10)]
    computed = chain().compute(polled({3: (70, values)}), Level.FULL)
    rows = computed.windows
    assert rows.assets == ["pump-1"] * 3
    assert rows.time.tolist() == [BEGAN_MS + at * 1_000 for at in (7, 8, 9)]
    assert rows.cause.tolist() == [8, 9, 10]
    np.testing.assert_allclose(rows.features[:, 1, 0], 5.0)
    assert (computed.since, computed.upto) == ({3: 70}, {3: 81})
    assert computed.touched == {3: frozenset({"pump-1"})}
    assert [rejected.kind for rejected in computed.decoded.rejected] == [RejectKind.NOT_JSON]
    assert set(computed.rows) == {"features", "detect"}
    assert set(computed.seconds) == {"decode", "synchronise", "denoise", "features", "detect"}


def test_late_records_are_named_by_their_place_in_the_poll():
    values = [b"garbage", *records("pump-1", 0, 10), record("pump-2", 0), record("pump-1", 3)]
    computed = chain().compute(polled({0: (0, values)}), Level.FULL)
    assert computed.late.tolist() == [12]


def test_a_poll_of_nothing_but_garbage_gives_nothing():
    computed = chain().compute(polled({0: (5, [b"garbage", b""])}), Level.FULL)
    assert len(computed.windows) == len(computed.late) == 0
    assert computed.touched == {}
    assert computed.upto == {0: 7}


def test_an_asset_whose_clock_was_set_back_is_counted():
    computed = chain().compute(
        polled({0: (0, [*records("pump-1", 50, 60), *records("pump-1", 0, 40)])}), Level.FULL
    )
    assert computed.restarted == 1


def test_a_level_leaves_out_the_stages_that_do_not_run_so_high():
    telling = chain()
    computed = telling.compute(polled({0: (0, records("pump-1", 0, 10))}), Level.STORE)
    assert "z" not in computed.rows["detect"].columns
    assert len(computed.windows) == len(computed.rows["detect"]) == 3
    assert "detect" not in computed.seconds
    assert (
        "z"
        in telling.compute(polled({0: (10, records("pump-1", 10, 12))}), Level.CHEAP).rows["detect"].columns
    )


def test_past_the_limit_the_longest_silent_asset_begins_anew():
    small = chain(replace(TELEMETRY, max_assets=2))
    first = small.compute(polled({0: (0, records("a", 0, 12))}), Level.FULL)
    assert small.compute(polled({1: (0, records("a", 0, 4))}), Level.FULL).forgotten == []
    made_room = small.compute(polled({0: (12, records("b", 0, 4))}), Level.FULL)
    assert made_room.forgotten == [(0, "a")]
    assert len(small) == 2
    assert small.dump(0, ["a", "b"]).keys() == {"b"}
    again = small.compute(polled({0: (16, records("a", 0, 12))}), Level.FULL)
    assert again.forgotten == [(1, "a")]
    np.testing.assert_array_equal(again.windows.features, first.windows.features)
    np.testing.assert_array_equal(again.windows.time, first.windows.time)


def test_what_makes_room_for_a_partition_that_comes_is_named():
    donor, small = chain(), chain(replace(TELEMETRY, max_assets=2))
    donor.compute(polled({1: (0, [*records("c", 0, 3), *records("d", 0, 3)])}), Level.FULL)
    small.compute(polled({0: (0, [*records("a", 0, 3), *records("b", 0, 3)])}), Level.FULL)
    states = {asset: AssetState(6, state) for asset, state in donor.dump(1, ["c", "d"]).items()}
    assert small.begin(1, states, 6) == [(0, "a"), (0, "b")]
    assert small.dump(0, ["a", "b"]) == {}
    assert small.dump(1, ["c", "d"]) == {asset: kept.state for asset, kept in states.items()}


def test_the_states_of_another_layout_are_refused():
    other = chain(replace(TELEMETRY, sensors=TELEMETRY.sensors[:1]))
    other.compute(polled({0: (0, records("a", 0, 3))}), Level.FULL)
    mine = chain()
    assert mine.digest != other.digest
    with pytest.raises(ValueError, match="another layout"):
        mine.begin(0, {"a": AssetState(3, other.dump(0, ["a"])["a"])}, 3)


def test_records_that_a_state_holds_are_passed_over_and_say_nothing():
    donor, heir = chain(), chain()
    donor.compute(polled({0: (0, records("a", 0, 12))}), Level.FULL)
    heir.begin(0, {"a": AssetState(12, donor.dump(0, ["a"])["a"])}, 0)
    again = heir.compute(polled({0: (0, [*records("a", 0, 11), record("b", 3)])}), Level.FULL)
    assert len(again.windows) == 0
    assert again.touched == {0: frozenset({"b"})}
    assert heir.compute(polled({0: (12, records("a", 12, 14))}), Level.FULL).windows.time.tolist() == [
        BEGAN_MS + 12_000,
        BEGAN_MS + 13_000,
    ]


def test_early_stages_wait_for_no_model():
    after = StagePlan("alert", "alert", ("score",))
    stages = in_order([*DEFAULT_STAGES[:-1], SCORE, after])
    assert early(stages) == {"decode", "synchronise", "denoise", "features", "detect"}
    computed = chain(plan=PipelinePlan(stages)).compute(polled({0: (0, records("a", 0, 10))}), Level.FULL)
    assert set(computed.rows) == {"features", "detect"}


def test_an_asset_may_have_a_slash_in_its_name():
    assert split("12/site/pump/7") == (12, "site/pump/7")
    telling = chain()
    assert telling.compute(polled({1: (0, records("a/b", 0, 8))}), Level.FULL).windows.assets == ["a/b"]
    assert telling.dump(1, ["a/b"]).keys() == {"a/b"}
