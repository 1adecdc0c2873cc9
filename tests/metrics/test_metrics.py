"""Properties of the paper's metrics, and degenerate input."""

from __future__ import annotations

import json
import math
import pickle
import random
import types
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialoeval import metrics, stats
from dialoeval.config import ProtocolConfig, ScoringConfig
from dialoeval.config.compose import group
from dialoeval.errors import UserError
from dialoeval.metrics.system_statistics import Statistics, statistics
from dialoeval.text.mteval import tokenize_line

LINES = st.text("ab0 .", max_size=14)
SETS = st.lists(st.tuples(LINES, st.lists(LINES, min_size=1, max_size=4)), min_size=1, max_size=6)
PLAIN = ProtocolConfig(name="none")


def figures(hypotheses, references, protocol=None):
    found = statistics(hypotheses, references, protocol, meteor=False).figures()
    return {name: float(values[0]) for name, values in found.items()}


def by_hand(hypotheses, references):
    """NIST-5 and BLEU-4 by counting, segment after segment, as the script's subroutines are laid out."""
    grams = [Counter() for _ in range(6)]
    for words in (tokenize_line(r) for refs in references for r in refs):
        for n in range(1, 6):
            grams[n].update(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    all_words = sum(grams[1].values())

    def information(gram):
        prefix = gram[:-1]
        above = all_words if " ".join(prefix) in ("", "0") else grams[len(prefix)][prefix]
        return math.log2(above / grams[len(gram)][gram])

    matched, total, info, reference_words, closest = [0] * 6, [0] * 6, [0.0] * 6, 0.0, 0
    for hypothesis, refs in zip(hypotheses, references, strict=True):
        words, lists = tokenize_line(hypothesis), [tokenize_line(r) for r in refs]
        lengths = [len(r) for r in lists]
        closest += min(lengths, key=lambda n: (abs(n - len(words)), n))
        reference_words += sum(lengths) / len(lengths)
        for n in range(1, 6):
            total[n] += max(0, len(words) - n + 1)
            for gram, count in Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1)).items():
                best = max(sum(tuple(r[i : i + n]) == gram for i in range(len(r) - n + 1)) for r in lists)
                if best:
                    matched[n] += min(count, best)
                    info[n] += min(count, best) * information(gram)
    ratio = math.inf if not reference_words and total[1] else total[1] / (reference_words or 1)
    penalty = 1.0 if ratio >= 1 else 0.0 if ratio <= 0 else 0.5 ** ((math.log(ratio) / math.log(1.5)) ** 2)
    smooth, logs = 1, 0.0
    for n in range(1, 5):
        if total[n] and not matched[n]:
            smooth *= 2
        if total[n]:
            logs += math.log((matched[n] or 1 / smooth) / total[n])
    brevity = math.exp(min(0.0, 1 - closest / total[1])) if total[1] else 0.0
    return penalty * sum(info[n] / max(total[n], 1) for n in range(1, 6)), brevity * math.exp(logs / 4)


@settings(max_examples=300, deadline=None)
@given(SETS)
def test_nist_and_bleu_equal_a_count_by_hand(examples):
    hypotheses, references = [h for h, _ in examples], [refs for _, refs in examples]
    found = figures(hypotheses, references)
    nist, bleu = by_hand(hypotheses, references)
    assert found["nist5"] == pytest.approx(nist, abs=1e-12)
    assert found["bleu4"] == pytest.approx(bleu, abs=1e-12)


@settings(max_examples=150, deadline=None)
@given(SETS, st.randoms(use_true_random=False))
def test_order_of_references_and_examples_does_not_matter(examples, rng):
    shuffled = [(h, rng.sample(refs, len(refs))) for h, refs in rng.sample(examples, len(examples))]
    one, other = (figures([h for h, _ in e], [r for _, r in e]) for e in (examples, shuffled))
    assert one == pytest.approx(other, abs=1e-12)


@settings(max_examples=150, deadline=None)
@given(SETS, st.integers(1, 5))
def test_shards_merge_to_the_whole(examples, cut):
    parts = [part for part in (examples[:cut], examples[cut:]) if part]
    whole = figures([h for h, _ in examples], [r for _, r in examples])
    made = [statistics([h for h, _ in part], [r for _, r in part], meteor=False) for part in parts]
    merged = {name: float(values[0]) for name, values in Statistics.merge(made).figures().items()}
    assert merged == pytest.approx(whole, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(SETS)
def test_weights_are_repeated_examples(examples):
    """Figures of a resample are those of a set that holds the replies that often (NIST keeps the set's weights)."""
    hypotheses, references = [h for h, _ in examples], [refs for _, refs in examples]
    weights = np.arange(len(examples))[::-1] % 3
    if not weights.any():
        weights[0] = 1
    made = statistics(hypotheses, references, meteor=False)
    drawn = {name: float(values[0]) for name, values in made.figures(weights[None]).items()}
    repeated = [i for i, times in enumerate(weights) for _ in range(times)]
    expected = figures([hypotheses[i] for i in repeated], [references[i] for i in repeated])
    for name in expected:
        if not name.startswith("nist"):
            assert drawn[name] == pytest.approx(expected[name], abs=1e-12), name


@given(st.lists(st.text("abc ", min_size=12, max_size=20).filter(lambda t: len(t.split()) >= 4), min_size=1))
@settings(max_examples=50, deadline=None)
def test_a_reference_as_reply_is_perfect(lines):
    assert metrics.bleu(lines, [[line, "d e f"] for line in lines]) == [1.0] * 4


def test_duplicate_references_change_no_bleu():
    hypotheses, references = ["a b c d e", "b c"], [["a b d", "c d e f"], ["c b"]]
    assert metrics.bleu(hypotheses, references) == metrics.bleu(hypotheses, [refs * 3 for refs in references])


def test_the_prefix_zero_quirk():
    """'0 a' is weighed against all words, not against the count of '0'."""
    references = [["0 a", "0 b b b"]]
    found = statistics(["0 a"], references, meteor=False)
    assert found.parts["nist"].rows[0, 1] == pytest.approx(math.log2(6 / 1))


def test_reference_slots_of_dstc7():
    from dialoeval.metrics.protocol import reference_slots

    protocol = group("protocol", "dstc7")
    assert reference_slots(list("ahcdefgh"), protocol) == list("accdef")
    assert reference_slots(list("ah"), protocol) == list("aaaaaa")
    assert reference_slots(list("a"), protocol) == list("aaaaaa")
    assert reference_slots(list("ahc"), protocol) == list("accacc")
    assert reference_slots([], protocol) == []


def test_diversity_by_hand():
    assert metrics.distinct(["a a b", "a"]) == [0.5, 1.0]
    assert metrics.entropy(["a a b", "a"])[0] == pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    assert metrics.entropy(["", ""]) == [0.0] * 4
    assert metrics.distinct([]) == [0.0, 0.0]


ODD = ["", " ", "ok", "a|b\tc", "\ud800 x", "\u05e9\u05dc\u05d5\u05dd", "\U0001f600 hi", "x" * 1_000_000, "a\nb\r\nc"]


@pytest.mark.parametrize("protocol", ["dstc7", "reddit6k", "none"])
def test_degenerate_input_has_values_and_is_counted(protocol):
    references = [[], [""], ["ok"], ["a|b c", ""], ["\ud800 x"], ["x"], ["hi"], ["x y"], ["a b c"]]
    scores = metrics.score(
        ODD, references, group("protocol", protocol), ScoringConfig(meteor=False, extra=["exact_match", "repetition"])
    ).to_json()
    from dialoeval.files import dumps

    assert "NaN" not in dumps(scores)
    assert json.loads(dumps(scores)) == scores
    assert scores["n"] == len(ODD)
    assert scores["counts"]["replies_without_references"] == 1
    assert scores["counts"]["empty_references"] == (1 if protocol == "dstc7" else 2)  # the other one is held out
    assert scores["counts"]["empty_replies"] == {"dstc7": 3, "reddit6k": 2, "none": 2}[protocol]
    assert scores["avg_len"] > 0
    made = statistics(ODD, references, group("protocol", protocol), meteor=False)
    rows = list(made.segments([str(i) for i in range(len(ODD))]).rows())
    assert rows[0]["nist"] is None and rows[0]["bleu"] is None and rows[0]["length"] == 0
    assert all(row["bleu"] is not None for row in rows[1:])


def test_line_breaks_inside_a_reply_are_spaces():
    assert figures(["a b\nc"], [["a b c"]]) == figures(["a b c"], [["a b c"]])


def test_everything_empty():
    found = figures(["", ""], [["", ""], [""]])
    assert all(value == 0.0 for value in found.values())


def test_lists_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match="2 replies but 1 lists"):
        metrics.bleu(["a", "b"], [["a"]])
    with pytest.raises(UserError, match=r"references\[0\]"):
        metrics.bleu(["a"], ["a"])
    with pytest.raises(UserError, match=r"hypotheses\[0\] is int"):
        metrics.nist([1], [["a"]])
    with pytest.raises(UserError, match="hypotheses is one string, not a list"):
        metrics.nist("a", [["a"]])
    with pytest.raises(UserError, match="reference"):
        metrics.nist(["a"], [[]])


def test_scores_hold_intervals_signatures_and_every_available_metric():
    rng = random.Random(0)
    lines = [" ".join(rng.choices("abcdefgh", k=8)) for _ in range(40)]
    scores = metrics.score(lines, [[line[::-1]] for line in lines], PLAIN, ScoringConfig(meteor=False, resamples=200))
    found = scores.to_json()
    for name in metrics.FIGURES:
        if name == "meteor":
            continue
        low, high = found["intervals"][name]
        assert low <= scores.figures[name] <= high or math.isclose(low, high), name
    assert set(found["signatures"]) == {"nist", "bleu", "entropy", "distinct", "avg_len"}
    assert all("version:dialoeval-" in text and "protocol:none" in text for text in found["signatures"].values())
    assert set(metrics.available()) >= {"nist", "meteor", "bertscore", "sacrebleu_bleu", "rouge_l"}


def test_paired_tests_of_every_figure():
    rng = random.Random(1)
    references = [[" ".join(rng.choices("abcdefgh", k=8)) for _ in range(3)] for _ in range(60)]
    good = [refs[0] for refs in references]
    bad = [" ".join(rng.choices("abcdefgh", k=5)) for _ in references]
    a, b = (statistics(lines, references, meteor=False) for lines in (good, bad))
    for test in (stats.paired_bootstrap, stats.approximate_randomization):
        results = test(a, b, 200, 1)
        assert set(results) == set(metrics.FIGURES) - {"meteor"}
        assert results["bleu4"].difference < 0 and results["bleu4"].p_value < 0.02
        assert all(result.p_value == 1.0 for result in test(a, a, 50, 1).values())


def test_meteor_is_a_plain_function_that_pickles():
    import dialoeval.metrics.meteor15  # importing the package must not replace the function

    assert isinstance(metrics.meteor, types.FunctionType)
    assert pickle.loads(pickle.dumps(metrics.meteor)) is metrics.meteor
    assert metrics.meteor(["the cat sat"], [["the cat sat", "a dog"]]) == pytest.approx(1.0)
    assert dialoeval.metrics.meteor15.segments is not None
