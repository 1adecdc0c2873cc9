"""Agreement of judges against textbook tables, the public judgments of DSTC7, and definitions worked out slowly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.judgments import dstc7

from dialoeval import stats
from dialoeval.errors import UserError

NA = math.nan
OBSERVERS = np.array(  # Krippendorff 2011: four observers, twelve units
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NA, NA, NA],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NA, 3],
        [NA, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NA],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NA],
    ]
)
UNITS = np.tile(np.arange(12), 4)


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 904 / 1216), ("ordinal", 0.815388), ("interval", 0.849107)])
def test_alpha_of_the_textbook(level, alpha):
    found = stats.krippendorff_alpha(stats.count_table(UNITS, OBSERVERS.ravel(), range(1, 6)), level)
    assert found.value == pytest.approx(alpha, abs=5e-7)
    assert (found.items, found.judgments, found.left_out) == (11, 40, 1)
    assert found.interval.low < found.value < found.interval.high


def test_kappa_of_the_textbook():
    """Fleiss 1971: ten subjects, fourteen raters."""
    table = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    assert stats.fleiss_kappa(table).value == pytest.approx(0.20993, abs=5e-6)
    table[0][4] = 13
    assert "13 to 14 judgments" in stats.fleiss_kappa(table).reason


def test_icc_of_the_textbook():
    """Shrout and Fleiss 1979: six targets, four judges, printed .17 and .44."""
    table = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])
    items = np.repeat(np.arange(6), 4)
    assert stats.icc(items, table.ravel()).value == pytest.approx(0.1657, abs=5e-5)
    assert stats.icc(items, table.ravel(), 4).value == pytest.approx(0.4428, abs=5e-5)
    assert stats.icc(items, table.ravel(), None).value == pytest.approx(0.4428, abs=5e-5)


@pytest.mark.parametrize(
    ("question", "nominal", "ordinal", "interval", "kappa", "single", "three"),
    [
        ("relevance", 0.067207, 0.192407, 0.192942, 0.067179, 0.192952, 0.417674),
        ("informativeness", 0.050331, 0.156458, 0.157340, 0.050302, 0.157348, 0.359053),
    ],
)
def test_agreement_of_dstc7(shared, question, nominal, ordinal, interval, kappa, single, three):
    judgments = dstc7(shared)
    values = judgments.values(question)
    table = stats.count_table(judgments.cells, values, range(1, 6))
    assert (
        table.sum(axis=0).tolist()
        == {
            "relevance": [7818, 6370, 6170, 9655, 2987],
            "informativeness": [8512, 7617, 6481, 7778, 2612],
        }[question]
    )
    for level, alpha in (("nominal", nominal), ("ordinal", ordinal), ("interval", interval)):
        found = stats.krippendorff_alpha(table, level, resamples=200)
        assert found.value == pytest.approx(alpha, abs=6e-7)
        assert found.interval.low < alpha < found.interval.high
    assert stats.fleiss_kappa(table, resamples=0).value == pytest.approx(kappa, abs=6e-7)
    assert stats.icc(judgments.cells, values, resamples=0).value == pytest.approx(single, abs=6e-7)
    assert stats.icc(judgments.cells, values, 3, resamples=0).value == pytest.approx(three, abs=6e-7)


def test_overall_icc_of_dstc7_and_its_ceiling(shared):
    judgments = dstc7(shared)
    assert stats.icc(judgments.cells, judgments.overall, resamples=0).value == pytest.approx(0.194447, abs=6e-7)
    three = stats.icc(judgments.cells, judgments.overall, 3, resamples=0).value
    assert three == pytest.approx(0.420004, abs=6e-7)
    assert stats.ceiling(three) == pytest.approx(0.648077, abs=1e-6)


@pytest.mark.parametrize(
    ("question", "ordinal", "interval"),
    [("relevance", 0.192470, 0.192995), ("informativeness", 0.155862, 0.156772)],
)
def test_agreement_of_dstc7_without_repeated_judgments(shared, question, ordinal, interval):
    judgments = dstc7(shared)
    keys = np.char.add(np.char.add(judgments.cells, "|"), judgments.judges)
    first = np.sort(np.unique(keys, return_index=True)[1])
    assert len(first) == 32946
    table = stats.count_table(judgments.cells[first], judgments.values(question)[first], range(1, 6))
    assert stats.krippendorff_alpha(table, "ordinal", resamples=0).value == pytest.approx(ordinal, abs=6e-7)
    assert stats.krippendorff_alpha(table, "interval", resamples=0).value == pytest.approx(interval, abs=6e-7)


def slow_alpha(lists, distance):
    """Alpha by its definition, over all pairs of judgments."""
    used = [values for values in lists if len(values) > 1]
    flat = [value for values in used for value in values]
    n = len(flat)
    observed = sum(distance(a, b, flat) for values in used for a in values for b in values)
    within = sum(sum(distance(a, b, flat) for a in values for b in values) / (len(values) - 1) for values in used) / n
    expected = sum(distance(a, b, flat) for a in flat for b in flat) / (n * (n - 1))
    return None if expected == 0 else 1 - (within if observed else 0) / expected


def ordinal_distance(a, b, flat):
    low, high = min(a, b), max(a, b)
    between = sum(low <= value <= high for value in flat) - (flat.count(a) + flat.count(b)) / 2
    return 0 if a == b else between**2


DISTANCES = {
    "nominal": lambda a, b, flat: float(a != b),
    "ordinal": ordinal_distance,
    "interval": lambda a, b, flat: (a - b) ** 2,
}


@given(
    st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=5), min_size=1, max_size=8),
    st.sampled_from(sorted(DISTANCES)),
)
@settings(max_examples=200, deadline=None)
def test_alpha_is_its_definition(lists, level):
    items = np.repeat(np.arange(len(lists)), [len(values) for values in lists])
    table = stats.count_table(items, np.concatenate(lists), range(1, 6))
    found = stats.krippendorff_alpha(table, level, resamples=0)
    if all(len(values) < 2 for values in lists):
        assert found == stats.Undefined("no item has two judgments")
        return
    expected = slow_alpha(lists, DISTANCES[level])
    if expected is None:
        assert found == stats.Undefined("every judgment was the same")
    else:
        assert found.value == pytest.approx(expected, abs=1e-9)
        assert found.left_out == sum(len(values) == 1 for values in lists)


def test_constant_ratings_are_undefined_not_1_or_nan():
    table = stats.count_table([0, 0, 1, 1], [3, 3, 3, 3], range(1, 6))
    for level in ("nominal", "ordinal", "interval"):
        assert stats.krippendorff_alpha(table, level) == stats.Undefined("every judgment was the same")
    assert stats.fleiss_kappa(table) == stats.Undefined("every judgment was the same")
    assert stats.icc([0, 0, 1, 1], [3, 3, 3, 3]) == stats.Undefined("every judgment was the same")
    assert stats.icc([0, 0, 1, 1], [1, 3, 3, 1], 2) == stats.Undefined("the mean of every item is the same")
    pairs = stats.agreeing_pairs(table)
    assert pairs.value == 1 and isinstance(pairs.interval, stats.Undefined)


def test_one_judgment_an_item_says_nothing():
    table = stats.count_table([0, 1, 2], ["a", "b", "a"], ["a", "tie", "b"])
    none = stats.Undefined("no item has two judgments")
    assert stats.krippendorff_alpha(table) == stats.fleiss_kappa(table) == stats.agreeing_pairs(table) == none
    assert stats.icc([0, 1, 2], [1.0, 2.0, 3.0]) == none
    assert isinstance(stats.ceiling(-0.1), stats.Undefined)


def test_agreeing_pairs_counts_pairs():
    table = stats.count_table([0, 0, 0, 1, 1, 2], [1, 1, 2, 4, 4, 5], range(1, 6))
    assert stats.agreeing_pairs(table).value == pytest.approx((1 + 1) / (3 + 1))


def test_judgments_that_were_not_given_are_left_out():
    table = stats.count_table([0, 0, 0, 1], [1.0, NA, 2.0, NA], [1, 2])
    assert table.tolist() == [[1, 1], [0, 0]]
    words = stats.count_table([0, 0, 1], np.array(["a", None, "b"], dtype=object), ["a", "b"])
    assert words.tolist() == [[1, 0], [0, 1]]


def test_values_and_levels_that_are_unknown_are_refused():
    with pytest.raises(UserError, match="6 is not one of 1, 2"):
        stats.count_table([0, 0], [1, 6], [1, 2])
    with pytest.raises(UserError, match="ordinal"):
        stats.krippendorff_alpha([[1, 2]], "ordnal")
    with pytest.raises(UserError, match="3 values for 2 columns"):
        stats.krippendorff_alpha([[1, 2]], "interval", [1, 2, 3])
