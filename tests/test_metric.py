import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.metric import mean, paired_difference, proportion


def test_wilson_interval_matches_a_published_example():
    # Newcombe 1998 (doi:10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E), table I: 81 of 263
    metric = proportion(81, 263)
    assert metric.ci95 == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_nothing_measured_says_nothing():
    assert proportion(0, 0).ci95 == (0.0, 1.0)
    assert mean([]).n == 0


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_interval_holds_the_share(counts):
    successes, n = counts
    metric = proportion(successes, n)
    low, high = metric.ci95
    assert 0 <= low <= metric.value + 1e-12
    assert metric.value <= high + 1e-12 <= 1 + 2e-12


def test_bootstrap_is_seeded_and_covers():
    values = [0.0, 1.0] * 100
    assert mean(values, seed=3) == mean(values, seed=3)
    low, high = mean(values).ci95
    assert low < 0.5 < high
    assert high - low == pytest.approx(2 * 1.96 * 0.5 / 200**0.5, rel=0.15)  # the normal approximation


def test_paired_difference_needs_pairs():
    assert paired_difference([0, 0, 1], [1, 0, 1]).value == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="zip"):
        paired_difference([1], [1, 2])
