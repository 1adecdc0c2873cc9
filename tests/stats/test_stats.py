"""Bootstrap, paired tests and corrections; sacrebleu is the oracle of the paired tests."""

from __future__ import annotations

import json
from typing import ClassVar

import numpy as np
import pytest

from dialoeval import stats
from dialoeval.errors import UserError
from dialoeval.stats.intervals import resample

sacrebleu = pytest.importorskip("sacrebleu")


class SacreBleu:
    """sacrebleu's BLEU as a set of examples that can be weighted and pooled."""

    size_biased = frozenset()
    ranges: ClassVar = {"bleu": (0.0, 100.0)}

    def optimistic(self, weights, more):
        return {}

    def __init__(self, rows: np.ndarray, metric) -> None:
        self.rows, self.metric = rows, metric

    def __len__(self):
        return len(self.rows)

    def figures(self, weights=None):
        totals = [self.rows.sum(axis=0)] if weights is None else weights @ self.rows
        return {"bleu": np.array([self.metric._compute_score_from_stats(list(row)).score for row in totals])}

    def pooled(self, other):
        return SacreBleu(np.concatenate([self.rows, other.rows]), self.metric)


@pytest.fixture(scope="module")
def systems(shared):
    replies: dict[str, list[str]] = {}
    ids = []
    for line in (shared / "dstc7" / "replies.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        if row["system"] in ("TeamB", "TeamD"):
            replies.setdefault(row["system"], []).append(row["reply"])
            if row["system"] == "TeamB":
                ids.append(row["id"])
    references = {}
    for line in (shared / "dstc7" / "references.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        references[row["id"]] = row["references"]
    streams = [[references[i][0] for i in ids[:300]]]
    return [(name, lines[:300]) for name, lines in replies.items()], streams


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["bs", "ar"])
def test_paired_tests_equal_sacrebleu(systems, kind, monkeypatch):
    from sacrebleu.metrics import BLEU
    from sacrebleu.significance import PairedTest

    monkeypatch.setenv("SACREBLEU_SEED", "12345")
    named, streams = systems
    metric = BLEU(references=streams)
    _, results = PairedTest(named, {"BLEU": metric}, None, test_type=kind, n_samples=300)()
    theirs = results["BLEU"][1]
    rows = [np.array(metric._extract_corpus_statistics(lines, None), dtype=float) for _, lines in named]
    test = stats.paired_bootstrap if kind == "bs" else stats.approximate_randomization
    ours = test(SacreBleu(rows[0], metric), SacreBleu(rows[1], metric), 300, 12345)["bleu"]
    assert ours.b == pytest.approx(theirs.score, abs=1e-9)
    assert ours.p_value == theirs.p_value


class Means:
    """The mean of one number an example: everything about it is known."""

    size_biased = frozenset()
    ranges: ClassVar = {}

    def optimistic(self, weights, more):
        return {}

    def __init__(self, values):
        self.values = np.asarray(values, dtype=float)

    def __len__(self):
        return len(self.values)

    def figures(self, weights=None):
        weights = np.ones((1, len(self))) if weights is None else weights
        return {"mean": weights @ self.values / np.maximum(weights.sum(axis=1), 1)}

    def pooled(self, other):
        return Means(np.concatenate([self.values, other.values]))


def test_interval_of_a_mean_is_near_the_normal_one():
    values = np.random.default_rng(0).normal(5, 2, size=400)
    low, high = stats.bootstrap_intervals(Means(values), 2000, 3)["mean"]
    error = values.std() / 20
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)


def test_seeds_decide_the_draws():
    values = Means(range(50))
    first = stats.bootstrap_intervals(values, 100, 1)
    assert first == stats.bootstrap_intervals(values, 100, 1)
    assert first != stats.bootstrap_intervals(values, 100, 2)
    assert (resample(50, 10, 1).sum(axis=1) == 50).all()


def test_no_interval_without_resamples_or_of_one_example():
    assert stats.bootstrap_intervals(Means([1.0]), 100) == {}
    assert stats.bootstrap_intervals(Means([1.0, 2.0]), 0) == {}


@pytest.mark.parametrize("test", [stats.paired_bootstrap, stats.approximate_randomization])
def test_clear_difference_is_found_and_none_is_not(test):
    noise = np.random.default_rng(1).normal(size=200)
    clear = test(Means(noise), Means(noise + 0.5), 500, 1)["mean"]
    assert clear.difference == pytest.approx(0.5)
    assert clear.p_value == pytest.approx(1 / 501)
    same = test(Means(noise), Means(noise), 500, 1)["mean"]
    assert same.p_value == 1.0
    swapped = test(Means(noise), Means(noise[::-1]), 500, 1)["mean"]
    assert swapped.p_value > 0.2


def test_paired_tests_refuse_different_examples():
    with pytest.raises(UserError, match="3, the other 2"):
        stats.paired_bootstrap(Means([1, 2, 3]), Means([1, 2]))


def test_corrections_of_the_textbook():
    """Holm and Benjamini-Hochberg of four p-values, worked by hand."""
    p = {"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}
    holm = stats.adjust(p, "holm")
    assert holm == pytest.approx({"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})
    assert list(holm) == list(p)
    assert stats.adjust(p, "bh") == pytest.approx({"d": 0.02, "a": 0.02, "c": 0.04, "b": 0.04})
    assert stats.adjust(p, "none") == p
    assert stats.adjust({}, "holm") == {}
    with pytest.raises(UserError, match="holm"):
        stats.adjust(p, "holms")
