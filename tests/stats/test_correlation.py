"""Metrics against people: published figures of DSTC7, scipy as the oracle of ours, and tests between metrics."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr
from support.judgments import dstc7

from dialoeval import stats
from dialoeval.errors import UserError
from dialoeval.stats.draws import item_weights, percentile_interval

KINDS = ("pearson", "spearman", "kendall")
PRIMARY = {
    "Baseline S2S": "Baseline (seq2seq)",
    "Constant": "Baseline (constant)",
    "Random": "Baseline (random)",
    "Human": "Human",
    "Team C/E": "TeamC-Primary",
}


@pytest.fixture(scope="module")
def systems(shared):
    """The overall human means of ten systems, and their metrics."""
    human = json.loads((shared / "dstc7" / "official_human.json").read_text("utf-8"))["systems"]
    metrics = json.loads((shared / "dstc7" / "official_2208.json").read_text("utf-8"))["systems"]
    rows = [metrics[PRIMARY.get(name, name.replace("Team ", "Team") + "-Primary")] for name in human]
    names = ("meteor", "nist4", "bleu4", "entropy4", "div1")
    without = np.array([name != "Human" for name in human])
    return np.array([x["overall"] for x in human.values()]), {n: np.array([r[n] for r in rows]) for n in names}, without


@pytest.mark.parametrize(
    ("metric", "r", "rho", "tau"),
    [
        ("meteor", 0.703992, 0.7576, 0.5556),
        ("nist4", 0.641599, 0.6727, 0.5556),
        ("bleu4", 0.585480, 0.5273, 0.4222),
        ("entropy4", 0.3041, 0.1030, 0.1111),
        ("div1", 0.2932, 0.0909, 0.0667),
    ],
)
def test_systems_of_dstc7(systems, metric, r, rho, tau):
    human, metrics, _ = systems
    for kind, value in zip(KINDS, (r, rho, tau), strict=True):
        assert stats.correlation(metrics[metric], human, kind).value == pytest.approx(value, abs=6e-5)
        fixed = stats.system_correlation(stats.fixed(metrics[metric]), stats.fixed(human), 0, kind)
        assert (fixed.value, fixed.systems) == (pytest.approx(value, abs=6e-5), 10)
        assert isinstance(fixed.interval, stats.Undefined)
    if metric == "meteor":
        found = stats.correlation(metrics[metric], human)
        assert (found.value, found.p_value) == pytest.approx((0.703992, 0.023067), abs=6e-7)


def test_human_is_the_outlier_of_dstc7(systems):
    human, metrics, rest = systems
    assert stats.correlation(metrics["meteor"][rest], human[rest]).value == pytest.approx(0.598, abs=6e-4)
    assert stats.correlation(metrics["bleu4"][rest], human[rest]).value == pytest.approx(0.118, abs=6e-4)


@pytest.mark.parametrize(
    ("first", "second", "t", "p"),
    [
        ("meteor", "bleu4", 0.597798, 0.284401),
        ("nist4", "bleu4", 0.170378, 0.434766),
        ("meteor", "nist4", 0.290852, 0.389797),
    ],
)
def test_williams_of_dstc7(systems, first, second, t, p):
    human, metrics, _ = systems
    found = stats.williams_test(human, metrics[first], metrics[second])
    assert (found.t, found.p_value) == pytest.approx((t, p), abs=6e-7)
    back = stats.williams_test(human, metrics[second], metrics[first])
    assert (back.t, back.p_value) == pytest.approx((-t, 1 - p), abs=6e-7)
    if (first, second) == ("meteor", "bleu4"):
        assert found.between == pytest.approx(0.724639, abs=6e-7)


@pytest.fixture(scope="module")
def segments(shared):
    """(1000, 4) human means, and of each metric."""
    lines = (shared / "dstc7" / "official_segments.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    names, ids = ["Constant", "Human", "TeamB", "TeamD"], sorted({row["id"] for row in rows})
    place = {item: i for i, item in enumerate(ids)}
    metrics = {name: np.full((len(ids), 4), math.nan) for name in ("meteor", "nist", "bleu")}
    for row in rows:
        for name, table in metrics.items():
            table[place[row["id"]], names.index(row["system"])] = row[name]
    return dstc7(shared).cell_means([(name,) for name in names], ids), metrics


SEGMENTS = {
    "meteor": [(0.092421, 0.089454), (0.139540, 0.103088), (0.045865, 0.063583), 954, 0.501000, 0.501000],
    "nist": [(0.191893, 0.144126), (0.229426, 0.194772), (0.053240, 0.062306), 957, 0.544167, 0.544167],
    "bleu": [(-0.016665, -0.083719), (-0.136368, -0.106780), (-0.031821, -0.022153), 1000, 0.417333, 0.417500],
}


@pytest.mark.parametrize("metric", SEGMENTS)
def test_segments_of_dstc7(segments, metric):
    human, metrics = segments
    *groupings, groups, plain, calibrated = SEGMENTS[metric]
    for grouping, values in zip(("none", "item", "sys"), groupings, strict=True):
        for kind, value in zip(("pearson", "kendall"), values, strict=True):
            found = stats.segment_correlation(metrics[metric], human, grouping, kind, resamples=500)
            assert found.value == pytest.approx(value, abs=6e-7)
            assert (found.groups, found.left_out) == {
                "none": (1, 0),
                "item": (groups, 1000 - groups),
                "sys": (4, 0),
            }[grouping]
            if kind == "pearson" or grouping == "item":
                assert found.interval.low < value < found.interval.high
    accuracy = stats.pairwise_accuracy(metrics[metric], human)
    assert accuracy.uncalibrated == pytest.approx(plain, abs=6e-7)
    assert accuracy.value == pytest.approx(calibrated, abs=6e-7)
    assert (accuracy.epsilon == 0) == (metric != "bleu")


def test_tests_between_metrics_of_dstc7(segments):
    human, metrics = segments
    pooled = stats.williams_test(human.ravel(), metrics["nist"].ravel(), metrics["meteor"].ravel())
    assert pooled.p_value == pytest.approx(1.9e-13, rel=0.02)
    found = stats.perm_both(human, metrics["nist"], metrics["meteor"], trials=200)
    assert found.delta == pytest.approx(0.089887, abs=6e-7)
    assert found.p_value == pytest.approx(1 / 201)
    assert stats.perm_both(human, metrics["meteor"], metrics["nist"], trials=200).p_value > 0.9


def test_retest_of_identical_replies_of_dstc7(shared):
    judgments = dstc7(shared)
    items = sorted(set(judgments.items))
    means = judgments.cell_means([("TeamCE",), ("TeamEC",)], items)
    assert stats.correlation(means[:, 0], means[:, 1]).value == pytest.approx(0.346317, abs=6e-7)


@given(st.integers(0, 10_000), st.sampled_from(KINDS), st.integers(2, 6))
@settings(max_examples=60, deadline=None)
def test_groups_are_scipys(seed, kind, c):
    """Each row with gaps against scipy, and rows that are left out counted."""
    from scipy import stats as theirs

    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 4, size=(2, 8, c)).astype(float)
    x[rng.random((8, c)) < 0.2] = math.nan
    function = {"pearson": theirs.pearsonr, "spearman": theirs.spearmanr, "kendall": theirs.kendalltau}[kind]
    values = []
    for a, b in zip(x, y, strict=True):
        some = np.isfinite(a)
        if some.sum() > 1 and np.ptp(a[some]) > 0 and np.ptp(b[some]) > 0:
            values.append(function(a[some], b[some])[0])
    found = stats.segment_correlation(x, y, "item", kind, resamples=0)
    if not values:
        assert isinstance(found, stats.Undefined)
        return
    assert found.value == pytest.approx(np.mean(values), abs=1e-9)
    assert (found.groups, found.left_out) == (len(values), 8 - len(values))


def test_calibration_finds_the_epsilon_by_search():
    rng = np.random.default_rng(2)
    metric, human = rng.integers(0, 9, size=(40, 5)) / 4, rng.integers(0, 3, size=(40, 5)).astype(float)
    first, second = np.triu_indices(5, 1)
    x, y = metric[:, first] - metric[:, second], human[:, first] - human[:, second]

    def accuracy(epsilon):
        return np.mean(np.where(np.abs(x) <= epsilon, 0, np.sign(x)) == np.sign(y))

    found = stats.pairwise_accuracy(metric, human)
    values = {e: accuracy(e) for e in sorted({0.0, *np.abs(x).ravel()})}
    assert found.value == pytest.approx(max(values.values()))
    assert found.epsilon == min(e for e, value in values.items() if value == max(values.values()))
    assert (found.uncalibrated, found.constant) == (pytest.approx(values[0.0]), pytest.approx(np.mean(y == 0)))
    constant = stats.pairwise_accuracy(np.zeros((40, 5)), human)
    assert constant.value == pytest.approx(constant.constant)


def test_system_interval_draws_items_for_both_sides():
    rng = np.random.default_rng(0)
    quality = np.linspace(0, 1, 6)
    human, metric = (quality + rng.normal(0, 1, (300, 6)) for _ in range(2))
    counts = rng.integers(0, 4, (300, 6))
    figures = stats.item_means(metric, np.ones((300, 6))), stats.item_means(human * counts, counts)
    for kind in KINDS:
        found = stats.system_correlation(*figures, 300, kind, resamples=1000)
        assert found.interval.low < found.value <= found.interval.high <= 1
    missing = human * counts
    missing[:, 2] = math.nan
    some = stats.system_correlation(figures[0], stats.item_means(missing, counts), 300, resamples=100)
    assert some.systems == 5


def test_systems_judged_on_different_items():
    sums = np.array([[3.0, math.nan, 2.0, 1.0], [math.nan, 4.0, 1.0, 2.0]])
    means = stats.item_means(sums, np.array([[1, 1, 2, 1], [1, 2, 1, 1]]))(np.ones((1, 2)))
    assert means[0] == pytest.approx([3.0, 2.0, 1.0, 1.5])


def test_equal_metrics_are_not_told_apart():
    rng = np.random.default_rng(1)
    human, noise = rng.normal(size=(200, 4)), rng.normal(size=(2, 200, 4))
    for grouping in ("none", "item", "sys", "system"):
        found = stats.perm_both(human, human + noise[0], human + noise[1], grouping, trials=300)
        assert 0.005 < found.p_value < 0.995
        better = stats.perm_both(human, human + 0.1 * noise[0], human + 3 * noise[1], grouping, trials=300)
        assert better.delta > 0 and (better.p_value < 0.02 or grouping == "system")


def test_perm_both_is_uniform_where_metrics_are_alike():
    rng = np.random.default_rng(6)
    values = []
    for _ in range(200):
        human = rng.normal(size=(60, 3))
        values.append(stats.perm_both(human, *(human + rng.normal(size=(2, 60, 3))), "none", 99).p_value)
    assert 0.02 <= np.mean(np.array(values) <= 0.05) <= 0.09
    assert np.mean(values) == pytest.approx(0.5, abs=0.07)


def test_what_cannot_be_correlated_says_why():
    three = np.arange(3.0)
    few = stats.system_correlation(stats.fixed(three), stats.fixed(three), 0)
    assert few == stats.Undefined("3 systems, and it needs 4")
    assert stats.correlation(np.ones(5), np.arange(5)) == stats.Undefined("the first values are all the same")
    assert isinstance(stats.correlation([1, 2], [3, 4]), stats.Undefined)
    assert isinstance(stats.segment_correlation(np.ones((5, 3)), np.eye(5, 3), "item"), stats.Undefined)
    x = np.random.default_rng(0).normal(size=(2, 9))
    assert "same up to scale" in stats.williams_test(x[0], x[1], 2 * x[1] + 1).reason
    assert isinstance(stats.williams_test(x[0], x[1], np.append(x[0, :8], math.nan)), stats.Undefined)
    assert isinstance(stats.pairwise_accuracy(np.full((2, 2), math.nan), np.ones((2, 2))), stats.Undefined)
    assert isinstance(stats.perm_both(np.ones((4, 3)), np.eye(4, 3), np.eye(4, 3) * 2), stats.Undefined)
    with pytest.raises(UserError, match="kendall"):
        stats.correlation(three, three, "kendal")
    with pytest.raises(UserError, match="grouping"):
        stats.segment_correlation(np.eye(3), np.eye(3), "items")
    with pytest.raises(UserError, match="one size"):
        stats.segment_correlation(np.eye(3), np.eye(4), "item")


@pytest.mark.parametrize("kind", ["spearman", "kendall"])
@pytest.mark.parametrize("grouping", ["none", "sys"])
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_intervals_of_ranks_are_scipys_of_every_resample(kind, grouping, seed):
    rng = np.random.default_rng(seed)
    n, s = int(rng.integers(6, 12)), int(rng.integers(1, 4))
    x, y = rng.integers(0, 5, size=(2, n, s)).astype(float)
    y = y + x
    x[rng.random(x.shape) < 0.1] = np.nan
    y[rng.random(y.shape) < 0.1] = np.nan
    function = {"spearman": spearmanr, "kendall": kendalltau}[kind]
    drawn = []
    for weights in np.concatenate(list(item_weights(n, 60, 3))).astype(int):
        a, b = np.repeat(x, weights, axis=0), np.repeat(y, weights, axis=0)
        values = []
        for u, v in [(a.ravel(), b.ravel())] if grouping == "none" else zip(a.T, b.T, strict=True):
            both = np.isfinite(u) & np.isfinite(v)
            if both.any() and np.ptp(u[both]) > 0 and np.ptp(v[both]) > 0:
                values.append(function(u[both], v[both])[0])
        drawn.append(np.mean(values) if values else np.nan)
    wanted = percentile_interval(np.array(drawn))
    found = stats.segment_correlation(x, y, grouping, kind, 60, 3)
    interval = found if isinstance(found, stats.Undefined) else found.interval
    if isinstance(wanted, stats.Undefined):
        assert isinstance(interval, stats.Undefined)
    else:
        assert (interval.low, interval.high, interval.degenerate) == (
            pytest.approx(wanted.low),
            pytest.approx(wanted.high),
            wanted.degenerate,
        )
