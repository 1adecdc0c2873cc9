"""Preference at equal length."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialoeval import stats
from dialoeval.errors import UserError
from dialoeval.stats import Undefined, equal_length_preference


def simulated(rng, strength, slope, shift, n=1500):
    items = np.repeat(np.arange(n), 2)
    d = np.repeat(rng.normal(shift, 5, n), 2)
    logit = strength + slope * np.tanh(d / d.std())
    draw = rng.random(2 * n)
    outcomes = np.where(draw < 1 / (1 + np.exp(-logit)), 1.0, -1.0)
    outcomes[rng.random(2 * n) < 0.1] = 0
    return items, outcomes, d


def test_a_preference_that_is_only_for_length_vanishes():
    found = stats.equal_length_preference(*simulated(np.random.default_rng(0), 0.0, 2.0, 4.0))
    assert found.observed > 0.6
    assert found.low < 0.5 < found.high
    assert found.slope > 1 and found.slope_p_value < 1e-6


def test_a_preference_against_length_shows():
    found = stats.equal_length_preference(*simulated(np.random.default_rng(1), 0.6, 0.0, 4.0))
    assert found.low > 0.5
    assert found.slope_p_value > 0.001


def test_interval_covers():
    rng = np.random.default_rng(2)
    inside = 0
    for _ in range(300):
        items, outcomes, d = simulated(rng, 0.0, 1.0, 2.0, n=150)
        found = stats.equal_length_preference(items, outcomes, d)
        inside += found.low <= 0.5 <= found.high
    assert 0.91 <= inside / 300 <= 0.98


def test_sides_can_be_swapped():
    items, outcomes, d = simulated(np.random.default_rng(3), 0.3, 1.0, 1.0)
    one, other = (stats.equal_length_preference(items, s * outcomes, s * d) for s in (1, -1))
    assert one.share == pytest.approx(1 - other.share)
    assert (one.low, one.slope) == pytest.approx((1 - other.high, other.slope))


def test_equal_lengths_leave_the_observed_share():
    found = stats.equal_length_preference([1, 2, 3, 4], [1, 1, 0, -1], [0, 0, 0, 0])
    assert (found.share, found.slope, found.slope_p_value) == (pytest.approx(0.625), 0.0, None)


def test_what_has_no_finite_answer_says_why():
    undefined = stats.Undefined
    assert stats.equal_length_preference([1, 2], [1, 1], [3, -3]) == undefined("every judgment preferred the same side")
    separated = stats.equal_length_preference([1, 2, 3], [1, 1, -1], [3, 2, -3])
    assert separated == undefined("length alone decides every preference")
    same = stats.equal_length_preference([1, 2], [1, -1], [4, 4])
    assert same == undefined("every pair differs in length by the same amount")
    assert isinstance(stats.equal_length_preference([1], [1], [2]), undefined)
    assert isinstance(stats.equal_length_preference([1, 2], [math.nan, 1], [2, 3]), undefined)
    with pytest.raises(UserError, match="an outcome"):
        stats.equal_length_preference([1, 2], [2, 1], [2, 3])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([1.0, 0.0, -1.0]), st.sampled_from([-50, -1, 0, 1, 2, 1000])),
        min_size=1,
        max_size=8,
    )
)
def test_few_judgments_give_a_finite_figure_with_an_interval_or_a_reason(rows):
    items, outcomes, lengths = (np.array(column) for column in zip(*rows, strict=True))
    with np.errstate(invalid="raise"):
        found = equal_length_preference(items, outcomes, lengths.astype(float))
    if isinstance(found, Undefined):
        assert found.reason
    else:
        assert 0 <= found.low < found.high <= 1 and found.low <= found.share <= found.high


def test_two_items_that_follow_the_model_have_no_interval():
    # as many items as parameters: the fit leaves nothing over from which other items could be judged
    found = equal_length_preference(np.array([2, 3, 2, 2]), np.array([1.0, 1, 0, 0]), np.array([0.0, 1, 0, 1]))
    assert isinstance(found, Undefined)
    assert isinstance(equal_length_preference(np.arange(9), np.zeros(9), np.arange(9.0)), Undefined)
