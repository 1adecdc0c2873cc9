"""Intervals of judgments that cluster: DSTC7's published ones, two-way half-widths, and their coverage."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from support.judgments import SYSTEMS, dstc7

from dialoeval import stats
from dialoeval.errors import UserError


def official(shared):
    systems = json.loads((shared / "dstc7" / "official_human.json").read_text("utf-8"))["systems"]
    for name, figures in systems.items():
        for question in ("relevance", "interest", "overall"):
            yield SYSTEMS.get(name, (name.replace("Team ", "Team"),)), question, figures


def test_means_of_dstc7(shared):
    judgments = dstc7(shared)
    means = [(judgments.mean(*s, question=q).value, figures[q]) for s, q, figures in official(shared)]
    assert len(means) == 30
    assert max(abs(ours - theirs) for ours, theirs in means) < 5e-7


@pytest.mark.parametrize("seed", [12345, 1])
def test_interval_ends_of_dstc7(shared, seed):
    judgments = dstc7(shared)
    worst, widths, theirs = 0.0, [], []
    for systems, question, figures in official(shared):
        found = stats.item_interval(judgments.mean(*systems, question=question), seed=seed)
        low, high = figures[f"{question}_ci95"]
        worst = max(worst, abs(found.low - low), abs(found.high - high))
        widths.append(found.high - found.low)
        theirs.append(high - low)
    assert worst <= 0.003
    assert np.mean(widths) / np.mean(theirs) == pytest.approx(1, abs=0.01)


def test_cells_of_dstc7(shared):
    judgments = dstc7(shared)
    lines = (shared / "dstc7" / "human_by_instance.tsv").read_text("utf-8-sig").splitlines()
    names = lines[0].split("\t")[1:]
    rows = [line.split("\t") for line in lines[1:] if not line.startswith("Average")]
    systems = [("TeamCE", "TeamEC") if name == "TeamCE" else (name,) for name in names]
    means = judgments.cell_means(systems, [row[0] for row in rows])
    published = np.array([[float(cell) for cell in row[1:]] for row in rows])
    assert published.shape == (1000, 10)
    assert np.all(np.abs(means - published) <= 0.005 + 1e-9)
    average = [float(cell) for cell in lines[-1].split("\t")[1:]]
    assert np.abs(means.mean(axis=0) - average).max() <= 0.005 + 1e-9


@pytest.mark.parametrize(
    ("first", "second", "difference", "item", "judge", "two_way"),
    [
        ("TeamB", "TeamCE", -0.0100, 0.0655, 0.0683, 0.0744),
        ("TeamB", "Baseline", 0.1353, 0.0662, 0.0698, 0.0756),
        ("Human", "TeamB", 0.6157, 0.0680, 0.1384, 0.1418),
        ("TeamG", "TeamD", 0.0623, 0.0669, 0.1896, 0.1916),
        ("TeamCE", "TeamEC", 0.0580, 0.0534, 0.0618, 0.0576),
    ],
)
def test_two_way_half_widths_of_dstc7(shared, first, second, difference, item, judge, two_way):
    judgments = dstc7(shared)
    gap = stats.combined([judgments.mean(first), judgments.mean(second)], [1, -1])
    found = stats.two_way_interval(gap)
    assert found.value == pytest.approx(difference, abs=6e-5)
    ours = (found.item_half_width, found.judge_half_width, found.half_width)
    assert ours == pytest.approx((item, judge, two_way), abs=6e-5)
    assert found.df is None and found.items == 1000
    cross = stats.pigeonhole_interval(gap, resamples=500)
    assert (cross.high - cross.low) / 2 > 0.95 * found.half_width
    items = stats.item_interval(gap)
    assert (items.high - items.low) / 2 == pytest.approx(found.item_half_width, rel=0.04)


def test_leaving_out_a_judge_of_dstc7(shared):
    labels, values = stats.leave_one_judge_out(dstc7(shared).mean("Human"))
    assert len(labels) == len(values)
    assert (round(values.min(), 3), round(values.max(), 3)) == (3.536, 3.586)


def test_ratio_is_computed_anew_in_each_draw():
    """A preferred share whose items have unequally many decided judgments, against resampling by hand."""
    rng = np.random.default_rng(4)
    items = np.repeat(np.arange(60), rng.integers(1, 6, 60))
    outcomes = rng.choice([1, 0, -1], len(items))
    wins, decided = (outcomes == 1).astype(float), (outcomes != 0).astype(float)
    share = stats.ratio(items, items, wins, decided)
    assert share.value == pytest.approx(wins.sum() / decided.sum())
    found = stats.item_interval(share, resamples=4000)
    by_item = [(wins[items == i].sum(), decided[items == i].sum()) for i in range(60)]
    draws = np.array([np.sum([by_item[i] for i in rng.integers(60, size=60)], axis=0) for _ in range(4000)])
    low, high = np.quantile(draws[:, 0] / draws[:, 1], [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.012)


def test_few_judges_get_the_t_quantile():
    items, judges = np.repeat(np.arange(30), 3), np.tile(np.arange(3), 30)
    values = np.random.default_rng(0).normal(size=90)
    found = stats.two_way_interval(stats.mean(items, judges, values))
    assert found.df == 2
    assert found.high - found.value == pytest.approx(found.half_width)
    more = stats.two_way_interval(stats.mean(items, np.arange(90) % 10, values))
    assert more.df is None


def test_what_cannot_be_computed_says_why():
    one_judge = stats.mean([1, 2, 3], ["a"] * 3, [1.0, 2.0, 3.0])
    assert stats.two_way_interval(one_judge) == stats.Undefined("one judge says nothing about other judges")
    one_item = stats.mean([1, 1], ["a", "b"], [1.0, 2.0])
    assert isinstance(stats.item_interval(one_item), stats.Undefined)
    assert isinstance(stats.two_way_interval(one_item), stats.Undefined)
    assert isinstance(stats.pigeonhole_interval(one_item), stats.Undefined)
    constant = stats.mean([1, 1, 2, 2], ["a", "b", "a", "b"], [3.0] * 4)
    for function in (stats.item_interval, stats.two_way_interval, stats.pigeonhole_interval):
        assert isinstance(function(constant), stats.Undefined)
    nothing = stats.mean([1, 2], ["a", "b"], [math.nan, math.nan])
    assert nothing.value == stats.Undefined("no judgment belongs to it")
    undecided = stats.ratio([1, 2], ["a", "b"], [0.0, 0.0], [0.0, 0.0])
    assert stats.item_interval(undecided) == stats.two_way_interval(undecided) == undecided.value
    with pytest.raises(UserError, match="one length"):
        stats.mean([1, 2], ["a"], [1.0, 2.0])


def test_questions_that_were_not_answered_are_left_out():
    items, judges = [1, 1, 2, 2, 3], ["a", "b", "a", "c", "b"]
    relevance = stats.mean(items, judges, [1, math.nan, 3, 5, 2])
    human = stats.mean(items, judges, [2, 4, math.nan, math.nan, 3])
    overall = stats.combined([relevance, human], [0.5, 0.5])
    assert overall.value == pytest.approx((11 / 4 + 9 / 3) / 2)
    assert stats.two_way_interval(overall).judges == 3
    assert "resamples have no figure" in stats.item_interval(overall).reason  # three draws of item 2


def test_systems_judged_on_different_items_are_compared():
    a = stats.mean([1, 2, 3, 4], list("abab"), [1.0, 2, 3, 4])
    b = stats.mean([3, 4, 5, 6], list("bcbc"), [2.0, 2, 5, 5])
    gap = stats.two_way_interval(stats.combined([a, b], [1, -1]))
    assert gap.value == pytest.approx(-1.0)
    assert (gap.items, gap.judges) == (6, 3)


def test_severity_is_against_others_on_the_same_items():
    labels, values = stats.severity([1, 1, 1, 2, 2, 3], list("abcabd"), [5.0, 3, 3, 4, 2, 1])
    assert labels.tolist() == list("abcd")
    assert values[:3] == pytest.approx([2.0, (-1 - 2) / 2, -1.0])
    assert math.isnan(values[3])


def test_labels_may_be_anything_and_their_names_do_not_matter():
    rng = np.random.default_rng(3)
    items, judges, values = rng.integers(20, size=90), rng.integers(12, size=90), rng.normal(size=90)
    plain = stats.mean(items, judges, values)
    named = stats.mean(items.astype(str), np.array([f"judge {j}" for j in judges]), values)
    assert stats.two_way_interval(plain).half_width == pytest.approx(stats.two_way_interval(named).half_width)


def simulated_gap(rng, items=150, judges=200, k=3):
    """One run against itself, with effects of DSTC7's size: a judge sees more of one side than of the other."""
    of_item, of_judge = rng.normal(0, 0.5, items), rng.normal(0, 0.6, judges)
    leaning = rng.permutation(np.repeat([0.1, 0.9], judges // 2))
    parts = []
    for weight in (leaning, 1 - leaning):
        who = rng.choice(judges, size=(items, k), p=weight / weight.sum())
        values = of_item[:, None] + of_judge[who] + rng.normal(0, 0.9, (items, k))
        parts.append(stats.mean(np.repeat(np.arange(items), k), who.ravel(), values.ravel()))
    return stats.combined(parts, [1, -1])


def test_two_way_interval_covers_and_the_item_interval_does_not():
    rng = np.random.default_rng(20)
    two_way = item = 0
    for _ in range(1000):
        found = stats.two_way_interval(simulated_gap(rng))
        two_way += abs(found.value) <= found.half_width
        item += abs(found.value) <= found.item_half_width
    assert 0.935 <= two_way / 1000 <= 0.965
    assert item / 1000 < 0.92
