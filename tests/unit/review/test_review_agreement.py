"""Agreement against the published example and the `krippendorff` package."""

import random

import krippendorff
import numpy as np
import pytest

from mesh.review.agreement import ac1, agreement, alpha

# Four observers, twelve units, five values, gaps: K. Krippendorff, "Computing Krippendorff's alpha-reliability", 2011, C; the
# same data are `cac.raw4raters` of Gwet's R package irrCAC, whose documentation gives AC1 = 0.77544.
OBSERVERS = (
    (1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3),
    (None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None),
)
UNITS = [[value for value in unit if value is not None] for unit in zip(*OBSERVERS, strict=True)]


def test_alpha_is_that_of_the_published_example():
    assert alpha(UNITS) == pytest.approx(0.743, abs=5e-4)


def test_ac1_is_that_of_the_published_example():
    assert ac1(UNITS) == pytest.approx(0.77544, abs=5e-6)


def test_alpha_of_two_observers_and_a_binary_value():
    # Krippendorff 2011, A: ten units, alpha 0.095.
    a, b = (0, 1, 0, 0, 0, 0, 0, 0, 1, 0), (1, 1, 1, 0, 0, 1, 0, 0, 0, 0)
    assert alpha(list(zip(a, b, strict=True))) == pytest.approx(0.095, abs=5e-4)


@pytest.mark.parametrize("seed", range(20))
def test_alpha_is_that_of_the_package(seed):
    draw = random.Random(seed)
    table = np.full((draw.randint(2, 5), 30), np.nan)
    for at in np.ndindex(table.shape):
        if draw.random() < 0.8:
            table[at] = draw.choice((0, 0, 0, 1, 2))
    units = [[value for value in unit if not np.isnan(value)] for unit in table.T.tolist()]
    expected = krippendorff.alpha(table, level_of_measurement="nominal")
    assert alpha(units) == pytest.approx(expected)


def test_rare_faults_spoil_alpha_and_not_ac1():
    units = [("normal", "normal")] * 98 + [("anomaly", "normal"), ("normal", "anomaly")]
    told = agreement(units)
    assert (told.units, told.observed) == (100, 0.98)
    assert told.alpha == pytest.approx(-0.005, abs=1e-3)
    assert told.ac1 == pytest.approx(0.98, abs=2e-3)


@pytest.mark.parametrize("units", [[], [("a",)], [(), ("a",)]])
def test_nothing_can_be_said_of_fewer_than_two_labels(units):
    told = agreement(units)
    assert (told.units, told.observed, told.alpha, told.ac1) == (0, None, None, None)


def test_one_kind_alone_has_no_alpha():
    assert alpha([("a", "a")] * 5) is None
    assert ac1([("a", "a")] * 5) == 1.0
