"""Bootstrap, paired tests and corrections; sacrebleu is the oracle of the paired tests."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialoeval import stats
from dialoeval.errors import UserError
from dialoeval.metrics.registry import figure
from dialoeval.metrics.system_statistics import statistics
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


words = st.lists(st.sampled_from(["a b", "a", "c d e f g", "b c d e", "", "f", "g h i j k l"]), min_size=2, max_size=12)


@settings(max_examples=60, deadline=None)
@given(words, words, st.integers(0, 99))
def test_no_interval_leaves_the_range_of_its_figure(replies, references, seed):
    """Also of the difference of two systems, whose ends are further apart."""
    n = min(len(replies), len(references))
    replies, references = replies[:n], [[text] for text in references[:n]]
    a = statistics(replies, references, meteor=False, extra=["exact_match", "rouge_l"])
    b = statistics(replies[::-1], references, meteor=False, extra=["exact_match", "rouge_l"])
    found = stats.bootstrap_intervals(a, 60, seed)
    assert set(found) == set(a.figures())
    for name, (low, high) in found.items():
        least, most = figure(name).range
        assert least - 1e-12 <= low <= high <= most + 1e-12, name
    for name, result in stats.paired_bootstrap(a, b, 60, seed).items():
        least, most = figure(name).range
        assert least - most - 1e-12 <= result.low <= result.high <= most - least + 1e-12, name


def test_a_figure_at_its_bound_has_an_interval_not_a_point():
    """100 replies without a repeated word, none of which equals its reference: 3.6% may yet differ (rule of three)."""
    replies = [f"w{i} x{i} y{i}" for i in range(100)]
    found = stats.bootstrap_intervals(statistics(replies, [["z"]] * 100, meteor=False, extra=["exact_match"]), 100)
    exact = stats.exact_interval(0, 100)[1]
    assert found["distinct1"] == pytest.approx((1 - exact, 1)) and found["distinct2"][1] == 1
    assert found["exact_match"] == pytest.approx((0, exact)) and 0.03 < exact < 0.04
    half_judged = statistics(replies, [["z"], []] * 50, meteor=False, extra=["exact_match"])
    assert stats.bootstrap_intervals(half_judged, 100)["exact_match"][1] == pytest.approx(
        stats.exact_interval(0, 50)[1]
    )


def test_few_replies_with_references_do_not_pull_an_interval_to_0():
    """A resample without any reference has no NIST, BLEU or METEOR; the figures of the set stay."""
    replies = ["a b c d e"] * 40
    few = statistics(replies, [["a b c d e"], ["a b c d f"], *[[] for _ in range(38)]], meteor=False)
    found = stats.bootstrap_intervals(few, 200)
    assert found["bleu4"][0] > 0.5 and found["nist1"][0] > 0.5
    nothing = np.array([[0, 0] + [1] * 38])
    assert np.isnan(few.figures(nothing)["bleu1"]).all() and np.isfinite(few.figures()["bleu1"]).all()


def test_bleu_of_few_matches_allows_for_a_match_not_seen():
    """Without any 4-gram match, mteval smooths; the exact upper bound of 0 matches is 3.7, of 200 4-grams here."""
    replies = [f"a{i} b{i} c{i} d{i}" for i in range(200)]
    found = stats.bootstrap_intervals(statistics(replies, [[f"a{i} b{i} x y"] for i in range(200)], meteor=False), 300)
    matches = np.array([400, 200, 3, 3]) / np.array([800, 600, 400, 200])
    assert found["bleu4"][1] == pytest.approx(np.exp(np.log(matches).mean()), rel=0.15)


def test_both_tests_answer_the_same_question():
    """Two-sided p-values of the bootstrap are near those of randomization, for entropy and distinct-n too."""
    rng = np.random.default_rng(5)
    vocabulary = [f"w{int(k)}" for k in rng.zipf(1.4, size=4000) % 500]
    a, b = ([" ".join(rng.choice(vocabulary, 8)) for _ in range(150)] for _ in range(2))
    systems = [statistics(replies, [["w1 w2 w3"]] * 150, meteor=False) for replies in (a, b)]
    bootstrap, randomization = stats.paired_bootstrap(*systems, 600), stats.approximate_randomization(*systems, 600)
    for name in ("entropy1", "entropy4", "distinct1", "distinct2", "bleu1"):
        assert bootstrap[name].p_two_sided == pytest.approx(randomization[name].p_value, abs=0.15), name
    same = stats.paired_bootstrap(systems[0], systems[0], 50)
    assert {result.p_two_sided for result in same.values()} == {1.0}


def test_coverage_is_measured_by_a_command(tmp_path, capsys, monkeypatch):
    rng = np.random.default_rng(3)
    lines = [" ".join(rng.choice(list("abcdefghij"), int(rng.integers(1, 9)))) for _ in range(2000)]
    (tmp_path / "texts").write_text("\n".join(lines) + "\n", "utf-8")
    path = Path(__file__).parents[2] / "benchmarks" / "coverage.py"
    spec = importlib.util.spec_from_file_location("coverage_of_intervals", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    options = ["--texts", str(tmp_path / "texts"), "--size", "60", "--samples", "60", "--resamples", "200"]
    monkeypatch.setattr(sys, "argv", ["coverage.py", *options])
    assert module.main() == 0
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("| 2000 texts")]
    assert [row[2].strip() for row in rows] == ["Entropy-4", "Dist-1", "Dist-2", "Avg Len"]
    assert all(float(row[5].strip(" %")) >= 85 for row in rows)


@pytest.mark.parametrize("differing", [1, 2])
def test_few_replies_that_differ_are_no_evidence(differing):
    """If k replies differ, at least a share of 2 / 2^k of all swaps gives the observed difference."""
    from dialoeval.metrics import statistics
    from dialoeval.stats import approximate_randomization

    replies = [f"a reply of number {i}" for i in range(60)]
    other = [reply + " more" if i < differing else reply for i, reply in enumerate(replies)]
    a, b = (statistics(texts, [[r] for r in replies], meteor=False) for texts in (replies, other))
    result = approximate_randomization(a, b, 400)
    assert result["avg_len"].p_two_sided > 0.8 * 2 / 2**differing
