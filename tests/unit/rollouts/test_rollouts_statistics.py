import math

import numpy as np
import pytest

from mesh.rollouts.statistics.beta_binomial import log_evidence, proportion_interval
from mesh.rollouts.statistics.betting import log_wealth_above, log_wealth_below
from mesh.rollouts.statistics.quantiles import BIN, Histogram, bin_of, edge, quantile_interval, quantile_prior


# From the header of PyPI's confseq 0.0.11, compiled: beta_binomial_log_mixture(k - qn, q(1 - q)n, q(1 - q)tuned, q, 1 - q, 0.05,
# false).
@pytest.mark.parametrize(
    ("q", "trials", "successes", "tuned", "expected"),
    [
        (0.95, 1000, 940, 1000, -0.300425011261),
        (0.95, 1000, 970, 1000, 3.35967626384),
        (0.5, 200, 120, 1000, 1.99642298462),
        (0.99, 5000, 4900, 1000, 16.9291045938),
        (0.5, 10, 10, 100, 2.20948562024),
    ],
)
def test_evidence_against_a_quantile_is_what_confseq_computes(
    q: float, trials: int, successes: int, tuned: int, expected: float
) -> None:
    assert log_evidence(successes, trials, q, quantile_prior(q, tuned)) == pytest.approx(expected, abs=1e-8)


def test_a_uniform_prior_is_the_binomial_likelihood_averaged_over_all_proportions() -> None:
    grid = (np.arange(200_000) + 0.5) / 200_000
    averaged = np.mean(grid**7 * (1 - grid) ** 13)
    assert log_evidence(7, 20, 0.2) == pytest.approx(math.log(averaged / (0.2**7 * 0.8**13)), abs=1e-6)


def test_an_interval_holds_what_was_found_and_ends_where_the_evidence_does() -> None:
    low, high = proportion_interval(30, 100, 0.05)
    assert low < 0.3 < high
    for end in (low, high):
        assert math.log(20) <= log_evidence(30, 100, end) < math.log(20) + 1e-4


def test_an_interval_reaches_the_end_where_nothing_speaks_against_it() -> None:
    assert proportion_interval(0, 0, 0.05) == (0.0, 1.0)
    assert proportion_interval(0, 50, 0.05)[0] == 0.0
    assert proportion_interval(50, 50, 0.05)[1] == 1.0


def test_counts_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="3 of 2"):
        log_evidence(3, 2, 0.5)


def test_wealth_is_the_average_over_the_stakes_of_the_product_over_the_values() -> None:
    values = [1.0, 0.0, 0.0, 1.0, 0.0]
    stakes = np.geomspace(0.98 / 0.3 / 1000, 0.98 / 0.3, 48)
    held = np.mean([np.prod([1 + stake * (value - 0.3) for value in values]) for stake in stakes])
    assert log_wealth_above((1.0, 0.0), (2, 3), 0.3) == pytest.approx(math.log(held))


def test_a_stake_gains_nothing_on_average_while_the_mean_is_what_is_claimed() -> None:
    # Exactly: over all outcomes of 12 tosses, weighed by their probability, the wealth is 1.
    p, tosses = 0.25, 12
    total = sum(
        math.comb(tosses, k)
        * p**k
        * (1 - p) ** (tosses - k)
        * math.exp(log_wealth_above((1.0, 0.0), (k, tosses - k), p))
        for k in range(tosses + 1)
    )
    assert total == pytest.approx(1.0)


def test_the_other_side_is_the_mirror_image() -> None:
    assert log_wealth_below((1.0, 0.0), (2, 8), 0.3) == pytest.approx(
        log_wealth_above((-1.0, 0.0), (2, 8), -0.3)
    )


def test_a_mean_outside_of_the_values_is_refused() -> None:
    with pytest.raises(ValueError, match="not inside"):
        log_wealth_above((1.0, 0.0), (1, 1), 1.0)


def test_a_quantile_lies_in_its_interval_which_narrows() -> None:
    random = np.random.default_rng(3)
    values = random.lognormal(1.0, 0.5, 20_000)
    truth = math.exp(1.0 + 0.5 * 1.6448536)
    few = quantile_interval(Histogram().with_values(values[:500]), 0.95, 0.05)
    many = quantile_interval(Histogram().with_values(values), 0.95, 0.05)
    assert few[0] < truth < few[1]
    assert many[0] < truth < many[1]
    assert many[1] / many[0] < few[1] / few[0] < 2


def test_the_last_quantiles_of_many_values_are_numbers() -> None:
    low, high = quantile_interval(Histogram({0: 1 << 21}), 1 - 1e-12, 0.05)
    assert 0.0 <= low <= high


def test_nothing_is_known_of_a_quantile_without_values() -> None:
    assert quantile_interval(Histogram(), 0.95, 0.05) == (0.0, math.inf)
    assert Histogram().quantile(0.5) is None


def test_bins_hold_their_values_and_a_time_that_nobody_knows_is_long() -> None:
    for value in (0.0011, 0.5, 1.0, 37.0, 1e4):
        assert edge(bin_of(value)) <= value * 1.000001 < edge(bin_of(value)) * BIN * 1.00001
    assert bin_of(math.nan) == bin_of(1e12)
    assert bin_of(0.0) == bin_of(-1.0) == 0
    assert edge(bin_of(math.nan) + 1) == math.inf


def test_histograms_add_up() -> None:
    one, other = Histogram().with_values([1, 2, 3]), Histogram().with_values([3, 4])
    assert one.plus(other) == Histogram().with_values([1, 2, 3, 3, 4])
    assert one.plus(other).total == 5
