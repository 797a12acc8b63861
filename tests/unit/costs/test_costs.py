"""What was used between two looks, and what that costs."""

import pytest

from mesh.costs import Prices, Sample, StoragePrices, bill, usage_between

PRICES = Prices(
    "EUR", "a list", "2026-01-02",
    cpu_hour=0.10, gpu_hour=2.0, memory_gb_hour=0.01, network_gb=0.5,
    storage_gb_month=StoragePrices(hot=7.3, warm=0.73, cold=0.073),
)  # fmt: skip
BEFORE = Sample(
    100.0,
    cpu_s={("router", "1"): 50.0, ("ingest", "2"): 10.0, ("gone", "9"): 3.0},
    memory_bytes={("router", "1"): 2e9, ("gone", "9"): 4e9},
    bytes_read={("raw",): 1e9},
    records={("raw",): 1_000.0},
    alerts=4.0,
)
AFTER = Sample(
    460.0,
    cpu_s={("router", "1"): 86.0, ("ingest", "2"): 46.0, ("ingest", "3"): 36.0},
    memory_bytes={("router", "1"): 2e9, ("ingest", "3"): 1e9},
    bytes_read={("raw",): 2e9},
    records={("raw",): 73_000.0},
    alerts=6.0,
    replicas={"anomaly": 2.0},
    level=1,
)


def test_usage_is_what_grew_and_what_was_held_for_how_long():
    used = usage_between(BEFORE, AFTER, {"anomaly": 0.25})
    of = {one.process: one for one in used.processes}
    assert (of["router"].cpu_s, of["ingest"].cpu_s) == (36.0, 72.0)  # a new process counts from its beginning
    assert of["router"].memory_gb_h == pytest.approx(0.2)
    assert of["gone"].memory_gb_h == pytest.approx(0.2)  # half of the time: nobody saw it end
    assert (used.network_gb, used.records, used.alerts, used.gpus, used.level) == (1.0, 72_000, 2, 0.5, 1)


def test_totals_that_fell_began_anew():
    used = usage_between(AFTER, Sample(500.0, records={("raw",): 10.0}, cpu_s={("router", "1"): 1.0}))
    assert used.records == 10
    assert used.processes[0].cpu_s == 0.0


def test_two_looks_need_time_between_them():
    with pytest.raises(ValueError, match="second look must come after the first"):
        usage_between(BEFORE, BEFORE)


def test_the_bill_adds_up():
    used = usage_between(BEFORE, AFTER, {"anomaly": 0.25}, {"hot": 1.0, "cold": 10.0})
    found = bill(used, PRICES, true_share=0.5)
    assert found.by_owner["router"] == pytest.approx(0.1 * 0.10 + 2 * 0.01)
    assert found.by_owner["models"] == pytest.approx(1.0)
    assert found.by_owner["stream"] == pytest.approx(10 * 0.5)
    assert found.by_owner["store, hot"] == pytest.approx(0.01)
    assert found.by_owner["store, cold"] == pytest.approx(0.001)
    assert found.per_hour == pytest.approx(sum(found.by_owner.values()))
    spent = found.per_hour / 10
    assert found.per_1000_records == pytest.approx(spent / 72)
    assert (found.per_alert, found.per_true_alert) == (pytest.approx(spent / 2), pytest.approx(spent))


def test_what_nothing_divides_is_not_known():
    found = bill(usage_between(Sample(0.0), Sample(60.0)), PRICES)
    assert (found.per_hour, found.per_1000_records, found.per_alert, found.per_true_alert) == (
        0,
        None,
        None,
        None,
    )
