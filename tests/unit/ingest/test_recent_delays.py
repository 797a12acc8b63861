"""The p95 of late: by rows, of the last seconds, and of a bounded number of batches."""

import numpy as np
import pytest

from ingest.telemetry.delays import RecentDelays


def test_rows_count_not_batches():
    delays = RecentDelays(5.0)
    delays.add(np.full(990, 10.0), 0.0)
    delays.add(np.full(10, 9_000.0), 0.1)
    assert delays.p95_ms(1.0) == 10.0
    delays.add(np.full(100, 2_000.0), 0.2)
    assert delays.p95_ms(1.0) == pytest.approx(2_000.0)


def test_what_is_older_no_longer_counts():
    delays = RecentDelays(5.0)
    delays.add(np.array([3_000.0]), 0.0)
    assert delays.p95_ms(5.0) == 3_000.0
    assert delays.p95_ms(5.01) == 0.0


def test_nothing_is_remembered_of_a_batch_without_rows_and_no_more_than_256_batches():
    delays = RecentDelays(1e9)
    delays.add(np.zeros(0), 0.0)
    assert delays.p95_ms(0.0) == 0.0
    delays.add(np.full(10_000, 5_000.0), 0.0)
    for at in range(256):
        delays.add(np.array([1.0]), float(at))
    assert delays.p95_ms(256.0) == 1.0
