"""Preferences: the paper's figures, exact tests against enumeration, and their behaviour under coin-flip judges."""

from __future__ import annotations

import itertools
import json
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.judgments import dstc7

from dialoeval import stats
from dialoeval.errors import UserError

OUTCOMES = st.lists(st.lists(st.sampled_from([1, 0, -1]), min_size=1, max_size=5), min_size=1, max_size=9)


def flat(lists):
    items = np.repeat(np.arange(len(lists)), [len(values) for values in lists])
    return items, np.concatenate(lists)


@given(OUTCOMES)
@settings(max_examples=200, deadline=None)
def test_sign_flip_is_the_enumeration_of_all_flips(lists):
    differences = [sum(values) for values in lists]
    total = abs(sum(differences))
    flips = itertools.product([1, -1], repeat=len(differences))
    sums = [abs(sum(s * d for s, d in zip(signs, differences, strict=True))) for signs in flips]
    found = stats.sign_flip_test(*flat(lists))
    assert found.p_value == pytest.approx(sum(s >= total for s in sums) / len(sums), rel=1e-12)
    assert (found.statistic, found.items) == (sum(differences), len(lists))
    assert found.decided == sum(d != 0 for d in differences)


def test_sign_flip_of_one_judgment_an_item_is_the_sign_test():
    outcomes = np.repeat([1, -1, 0], [60, 40, 7])
    p = stats.sign_flip_test(np.arange(107), outcomes).p_value
    assert p == stats.sign_test(60, 40) == pytest.approx(0.0568879336, abs=1e-10)


def test_sign_flip_of_agreeing_judges_is_the_sign_test_of_items():
    items, outcomes = np.repeat(np.arange(100), 3), np.repeat([1, -1], [180, 120])
    assert stats.sign_flip_test(items, outcomes).p_value == stats.sign_test(60, 40)


def test_sign_flip_without_a_decided_judgment_is_1():
    assert stats.sign_flip_test([1, 1, 2], [0, 0, 0]).p_value == 1.0
    assert stats.sign_flip_test([1, 1, 2, 2], [1, -1, -1, 1]).p_value == 1.0
    assert stats.sign_flip_test([], []).p_value == 1.0


@pytest.mark.parametrize(("n", "tilt"), [(2000, 0.02), (100_000, 0.003)])
def test_sign_flip_of_many_items_is_fast_and_near_the_normal_law(n, tilt):
    rng = np.random.default_rng(5)
    outcomes = rng.choice([1, 0, -1], size=(n, 3), p=[0.4 + tilt / 2, 0.2, 0.4 - tilt / 2])
    start = time.perf_counter()
    found = stats.sign_flip_test(np.repeat(np.arange(n), 3), outcomes.ravel())
    assert time.perf_counter() - start < 5
    d = outcomes.sum(axis=1)
    z = (abs(d.sum()) - 1) / math.sqrt(np.sum(d**2))
    assert found.p_value == pytest.approx(math.erfc(z / math.sqrt(2)), rel=0.02)


def test_p_values_far_out_keep_their_precision():
    """All of 150 items of each size on one side: both tails are one flip pattern each."""
    items, outcomes = flat([[1]] * 150 + [[1, 1]] * 150 + [[1, 1, 1]] * 150)
    assert stats.sign_flip_test(items, outcomes).p_value == pytest.approx(2.0**-449, rel=1e-9)
    items, outcomes = flat([[1]] * 1500 + [[1, 1]] * 1500)
    assert stats.sign_flip_test(items, outcomes).p_value == 0.0


def test_coin_flip_judges_who_agree_within_items():
    """The test over items is uniform; the sign test of judgments finds what is not there."""
    from scipy.stats import kstest

    n, rng = 2000, np.random.default_rng(8)  # so many that steps of p do not show
    items, over_items, over_judgments = np.repeat(np.arange(n), 3), [], []
    for _ in range(400):
        common = rng.choice([1, -1], size=(n, 1))
        outcomes = np.where(rng.random((n, 3)) < 0.8, common, rng.choice([1, 0, -1], size=(n, 3))).ravel()
        over_items.append(stats.sign_flip_test(items, outcomes).p_value)
        over_judgments.append(stats.sign_test(int(np.sum(outcomes == 1)), int(np.sum(outcomes == -1))))
    assert kstest(over_items, "uniform").pvalue > 0.01
    assert 0.02 < np.mean(np.array(over_items) < 0.05) < 0.08
    assert kstest(over_judgments, "uniform").pvalue < 1e-4
    assert np.mean(np.array(over_judgments) < 0.05) > 0.15


def test_sign_flip_of_means_is_near_the_exact_one():
    rng = np.random.default_rng(1)
    d = rng.integers(-3, 4, 300)
    items, outcomes = flat([[int(np.sign(x))] * abs(int(x)) or [0] for x in d])
    exact = stats.sign_flip_test(items, outcomes).p_value
    drawn = stats.sign_flip_means(np.append(d / 3, math.nan), trials=40_000)
    assert drawn.p_value == pytest.approx(exact, abs=0.015)
    assert drawn.items == 300
    assert stats.sign_flip_means(np.full(100, 0.5), 999).p_value == 1 / 1000
    assert stats.sign_flip_means([0.0, 0.0]).p_value == 1.0


def rows(shared):
    return json.loads((shared / "paper" / "tables.json").read_text("utf-8"))["human_evaluation"]["rows"]


BRACKETS = {
    ("DialoGPT 345M", "relevance"): (0.0519, 0.258),
    ("DialoGPT 345M", "informativeness"): (2.35e-5, 0.0144),
    ("DialoGPT 345M", "human-like"): (5.96e-5, 0.0201),
    ("DialoGPT 345M MMI", "relevance"): (3.79e-4, 0.0395),
    ("DialoGPT 345M MMI", "informativeness"): (7.83e-4, 0.0516),
    ("DialoGPT 345M MMI", "human-like"): (0.00980, 0.134),
}


def test_brackets_of_the_paper(shared):
    seen = 0
    for row in rows(shared):
        found = stats.total_bracket(row["wins"], row["losses"], 3)
        if row["b"] == "Human":
            question = row["question"] if row["question"] in ("relevance", "informativeness") else "human-like"
            independent, agreeing = BRACKETS[row["a"], question]
            assert found.independent == pytest.approx(independent, rel=2e-3)
            assert found.agreeing == pytest.approx(agreeing, rel=4e-3)
            seen += 1
        else:
            assert found.independent < 1e-300 and found.agreeing < 1e-90
    assert seen == 6
    assert stats.total_bracket(0, 0, 3) == stats.Bracket(1.0, 1.0)


def test_percentages_round_half_up():
    assert stats.Counts(2671, 513, 2816).percentages == (45, 9, 47)
    assert stats.Counts(1, 6, 1).percentages == (13, 75, 13)
    assert stats.Counts(0, 0, 0).percentages == (0, 0, 0)


def test_counts_and_majority():
    items = [1, 1, 1, 2, 2, 2, 3, 3, 4, 5]
    outcomes = [1, 1, -1, 1, 0, -1, -1, -1, math.nan, 0]
    assert stats.win_tie_loss(outcomes) == stats.Counts(3, 2, 4)
    assert stats.majority(items, outcomes) == stats.Counts(1, 2, 1)
    with pytest.raises(UserError, match="an outcome must be 1"):
        stats.win_tie_loss([1, 0.5])


def test_item_majority_of_dstc7(shared):
    judgments = dstc7(shared)
    means = judgments.cell_means([("Human",), ("TeamB",)], sorted(set(judgments.items)))
    gap = means[:, 0] - means[:, 1]
    assert stats.win_tie_loss(np.sign(np.round(gap, 9))) == stats.Counts(698, 63, 239)


def test_pair_counts_do_not_depend_on_who_is_named_first():
    found = stats.pair_counts(["x", "x", "y", "y"], [0, 1, 2, 2], [1, 0, 0, 0], [1, 1, 0, math.nan])
    assert found.pairs.tolist() == [[0, 1], [0, 2]]
    assert found.counts.tolist() == [[[1, 0, 1], [0, 0, 0]], [[0, 0, 0], [0, 1, 0]]]
