"""Davidson's model on the paper's counts, in closed form, and where it has no finite strengths."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dialoeval import stats
from dialoeval.errors import UserError

NAMES = ["Human", "DialoGPT 345M", "DialoGPT 345M MMI", "PersonalityChat"]
STRENGTHS = {
    "relevance": ([-0.053151, 0.096816, -1.346646], 0.198888, -14613.3458),
    "informativeness": ([-0.112268, 0.089224, -1.491398], 0.089890, -12968.5841),
    "human-like": ([-0.106499, 0.068752, -1.442656], 0.093210, -13078.8079),
}
# 345M against MMI, beam search and 762M, from the comment in the DialoGPT README.
MORE = {
    "relevance": ([(2379, 527, 3094), (3019, 581, 2400), (2726, 576, 2698)], 20.6),
    "informativeness": ([(2474, 257, 3269), (3230, 362, 2408), (2856, 303, 2841)], 54.0),
    "human-like": ([(2478, 289, 3233), (3233, 340, 2427), (2847, 321, 2832)], 29.7),
}


def paper(shared, question):
    rows = json.loads((shared / "paper" / "tables.json").read_text("utf-8"))["human_evaluation"]["rows"]
    rows = [row for row in rows if row["question"][:5] == question[:5]]
    pairs = [(NAMES.index(row["a"]), NAMES.index(row["b"])) for row in rows]
    return pairs, [(row["wins"], row["ties"], row["losses"]) for row in rows]


@pytest.mark.parametrize("question", STRENGTHS)
def test_strengths_of_the_paper(shared, question):
    strengths, nu, likelihood = STRENGTHS[question]
    found = stats.davidson(*paper(shared, question), NAMES)
    assert found.strengths == pytest.approx([0, *strengths], abs=6e-7)
    assert found.nu == pytest.approx(nu, abs=6e-7)
    assert found.log_likelihood == pytest.approx(likelihood, abs=6e-5)
    if question == "relevance":
        assert found.errors == pytest.approx([0, 0.027082, 0.027102, 0.045849], abs=6e-7)


@pytest.mark.parametrize("question", MORE)
def test_fit_of_six_systems(shared, question):
    pairs, counts = paper(shared, question)
    more, g2 = MORE[question]
    found = stats.davidson([*pairs, (1, 2), (1, 4), (1, 5)], [*counts, *more], [*NAMES, "beam", "762M"])
    assert (found.g2, found.df) == (pytest.approx(g2, abs=0.06), 6)
    assert found.p_value < 0.01


def test_two_systems_have_a_closed_form():
    found = stats.davidson([(0, 1)], [(2871, 522, 2607)], ["MMI", "Human"], anchor=1)
    assert found.strengths == pytest.approx([math.log(2871 / 2607), 0])
    assert found.strengths[0] == pytest.approx(0.096460, abs=6e-7)
    assert found.nu == pytest.approx(522 / math.sqrt(2871 * 2607))
    assert found.nu == pytest.approx(0.190802, abs=6e-7)
    assert (found.df, found.p_value) == (0, None)
    assert found.shares[0] == pytest.approx(np.array([2871, 522, 2607]) / 6000)


def test_without_ties_it_is_bradley_and_terry():
    found = stats.davidson([(0, 1)], [(60, 0, 40)], ["A", "B"])
    assert found.strengths[1] == pytest.approx(math.log(40 / 60))
    assert found.errors[1] == pytest.approx(math.sqrt(1 / 40 + 1 / 60))
    assert (found.nu, found.nu_error) == (0.0, None)


@given(st.lists(st.tuples(*[st.integers(0, 30)] * 3), min_size=6, max_size=6), st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_score_equations_hold_and_the_anchor_only_shifts(counts, anchor):
    pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    found = stats.davidson(pairs, counts, list("ABCD"))
    assume(isinstance(found, stats.Davidson))
    counts = np.array(counts, dtype=float)
    expected = found.shares * counts.sum(axis=1, keepdims=True)
    assert expected[:, 1].sum() == pytest.approx(counts[:, 1].sum(), abs=1e-6)
    for system in range(4):
        points = [
            sum(
                table[p, 0 if pair[0] == system else 2] + table[p, 1] / 2
                for p, pair in enumerate(pairs)
                if system in pair
            )
            for table in (counts, expected)
        ]
        assert points[0] == pytest.approx(points[1], abs=1e-6)
    other = stats.davidson(pairs, counts, list("ABCD"), anchor)
    assert other.strengths == pytest.approx(found.strengths - found.strengths[anchor], abs=1e-6)
    assert other.log_likelihood == pytest.approx(found.log_likelihood)


@pytest.mark.parametrize(
    ("pairs", "counts", "reason"),
    [
        ([(0, 1), (1, 2)], [(3, 1, 2), (4, 0, 0)], "C lost every comparison: no finite strength"),
        ([(0, 1), (1, 2), (0, 2)], [(3, 0, 0), (2, 1, 2), (5, 0, 0)], "A won every comparison: no finite strength"),
        ([(0, 1)], [(3, 1, 2)], "C was never compared with the others: no finite strength"),
        ([(0, 1), (1, 2)], [(0, 4, 0), (0, 2, 0)], "no judgment was decided"),
        ([(0, 1), (1, 2)], [(3, 1, 0), (2, 1, 0)], "wins and ties allow infinite strengths"),
        ([], [], "no judgment was decided"),
    ],
)
def test_no_finite_strengths_name_the_culprits(pairs, counts, reason):
    found = stats.davidson(pairs, counts, ["A", "B", "C"])
    assert isinstance(found, stats.Undefined)
    assert reason in found.reason


def test_two_groups_that_never_met():
    found = stats.davidson([(0, 1), (2, 3)], [(3, 1, 2), (1, 1, 1)], list("ABCD"))
    assert found.reason.startswith("A and B were never compared with the others")


def test_a_circle_of_wins_is_enough():
    found = stats.davidson([(0, 1), (1, 2), (2, 0)], [(3, 1, 0), (3, 1, 0), (3, 1, 0)], list("ABC"))
    assert found.strengths == pytest.approx([0, 0, 0], abs=1e-9)


def test_wrong_numbers_of_systems_are_refused():
    for pairs, anchor in (([(0, 2)], 0), ([(1, 1)], 0), ([(0, 1)], 2)):
        with pytest.raises(UserError, match="two different ones of the 2 systems"):
            stats.davidson(pairs, [(1, 1, 1)], ["A", "B"], anchor)


def test_intervals_over_items():
    rng = np.random.default_rng(0)
    items, first = np.repeat(np.arange(500), 3), rng.integers(0, 3, 1500)
    second = (first + rng.integers(1, 3, 1500)) % 3
    outcomes = rng.choice([1, 0, -1], size=1500)
    table = stats.pair_counts(items, first, second, outcomes)
    fit = stats.davidson(table.pairs, table.counts.sum(axis=0), list("ABC"), anchor=1)
    found = stats.davidson_intervals(table.pairs, table.counts, 3, anchor=1, resamples=2000)
    assert isinstance(found.strengths[1], stats.Undefined) and found.degenerate == 0
    for i in (0, 2):
        interval = found.strengths[i]
        assert interval.low < fit.strengths[i] < interval.high
        assert (interval.high - interval.low) / 3.92 == pytest.approx(fit.errors[i], rel=0.15)
    assert found.nu.low < fit.nu < found.nu.high


def test_degenerate_resamples_are_counted():
    counts = np.zeros((20, 1, 3))
    counts[:, 0] = [1, 0, 0]
    counts[0, 0] = [0, 0, 1]  # a third of the resamples lack the only loss
    found = stats.davidson_intervals(np.array([(0, 1)]), counts, 2, resamples=1000)
    assert isinstance(found, stats.Undefined) and "of 1,000 resamples" in found.reason
    counts[:6, 0] = [0, 0, 1]
    found = stats.davidson_intervals(np.array([(0, 1)]), counts, 2, resamples=2000)
    assert 0 <= found.degenerate <= 20
    assert isinstance(found.nu, stats.Undefined)  # no tie anywhere
