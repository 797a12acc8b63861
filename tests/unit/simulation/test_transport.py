"""Each fault of transport does what its name says to the records in its time; all come in the order of their sending."""

import numpy as np
import pytest

from mesh.errors import InvalidInput
from mesh.simulation import delivery
from mesh.simulation.delivery import Delivery
from mesh.simulation.faults import Fault
from mesh.simulation.records import joined
from mesh.simulation.stream import Block


class Ticks:
    """Two machines, each at its own tenths of a second; sensor 0 counts tenths, sensor 1 is -1."""

    def second(self, n):
        tenths = np.arange(10 * n, 10 * n + 10)
        asset = tenths % 2
        return Block(asset, tenths / 10, np.stack([tenths, -np.ones(10)], axis=1).astype(float))

    def next_second(self, n):
        return n


def delivered(*faults, ends_ms=6_000):
    way = Delivery(Ticks(), faults, 7, ends_ms, 200.0, np.zeros(2, bool), np.zeros(2, np.int16))
    return joined(list(way.seconds()))


def fault(kind, size=0.0, part=1.0, **more):
    return Fault(kind, 0, (1,), 2.0, 4.0, size, part, **more)


def inside(records):
    return (records.asset == 0) & (records.read_ms >= 2_000) & (records.read_ms < 4_000)


def test_without_faults_everything_leaves_when_it_is_read():
    records = delivered()
    np.testing.assert_array_equal(records.read_ms, np.arange(60) * 100)
    np.testing.assert_array_equal(records.sent_ms, records.said_ms)


def test_a_skewed_clock_says_another_time_and_sends_at_the_same():
    records = delivered(fault("clock_skew", -120.0))
    wrong = records.said_ms - records.read_ms
    assert set(wrong[inside(records)]) == {-120_000}
    assert not wrong[~inside(records)].any()
    np.testing.assert_array_equal(records.sent_ms, records.read_ms)


def test_duplicates_are_the_same_records_again_and_later():
    records = delivered(fault("duplicates", 0.55))
    assert len(records) == 60 + 10
    again = records.sent_ms != records.read_ms
    assert again.sum() == 10
    assert inside(records)[again].all()
    assert set((records.sent_ms - records.read_ms)[again]) == {550}
    np.testing.assert_array_equal(records.said_ms, records.read_ms)


def test_a_part_of_the_records_is_about_that_part():
    way = Delivery(
        Ticks(), [Fault("duplicates", 0, (), 0.0, 200.0, 0.0, 0.3)], 7, 200_000, 200.0, np.zeros(2, bool), np.zeros(2, np.int16)
    )  # fmt: skip
    assert len(joined(list(way.seconds()))) - 2_000 == pytest.approx(300, abs=45)


def test_late_records_come_out_of_order_within_their_delay_and_none_is_lost():
    records = delivered(fault("late", 3.0))
    assert len(records) == 60
    assert (np.diff(records.sent_ms) >= 0).all()
    assert (np.diff(records.read_ms) < 0).any()
    delay = records.sent_ms - records.read_ms
    assert (delay[inside(records)] > 0).all()
    assert delay.max() <= 3_000
    assert not delay[~inside(records)].any()


def test_late_records_leave_after_the_end_too():
    records = delivered(Fault("late", 0, (1,), 4.0, 6.0, 60.0))
    assert len(records) == 60
    assert records.sent_ms.max() > 6_000


def test_a_missing_sensor_is_named_no_more():
    records = delivered(fault("missing_sensor"))
    np.testing.assert_array_equal(records.absent[:, 1], inside(records))
    assert not records.absent[:, 0].any()


def test_a_change_of_unit_is_said_as_declared():
    np.testing.assert_array_equal(
        (records := delivered(fault("unit_change", unit=3))).units[:, 1], 3 * inside(records)
    )
    assert not delivered(fault("unit_change", unit=0)).units.any()


def test_a_flood_is_so_many_times_the_records_each_with_its_own_time():
    records = delivered(fault("flood", 10.0))
    assert inside(records).sum() == 100
    assert len(records) == 60 + 90
    times = np.sort(records.said_ms[inside(records)])
    np.testing.assert_array_equal(times, np.arange(2_000, 4_000, 20))


def test_what_is_held_is_bounded(monkeypatch):
    monkeypatch.setattr(delivery, "MAX_RECORDS", 15)
    with pytest.raises(InvalidInput, match=r"--rate: \d+ records at once are more than the 15 that are held"):
        delivered(Fault("late", 0, (1,), 0.0, 6.0, 60.0))
    with pytest.raises(InvalidInput, match="--rate: 510 records"):
        delivered(fault("flood", 100.0))
