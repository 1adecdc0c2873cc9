"""Comparing runs: what is found, what is refused, and sacrebleu's word on the p-values of BLEU."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest
from support.report_runs import WORDS, examples, replies, write_run

from dialoeval.cli.main import main
from dialoeval.config import ProtocolConfig
from dialoeval.errors import UserError
from dialoeval.reports.analysis import buckets, distinctive_ngrams, most_frequent
from dialoeval.reports.compare import ComparisonSettings, compare
from dialoeval.reports.compare_text import figures_table, p_text, to_markdown
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.reader import load_run
from dialoeval.stats import PairedResult

QUICK = ComparisonSettings(resamples=100, trials=100)


@pytest.fixture(scope="module")
def data():
    return examples(60, references=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("compared")
    good, bad = replies(data, 1, 0.8), replies(data, 2, 0.1)
    write_run(path, data, bad, name="bad", decoding={"name": "greedy"})
    write_run(path, data, good, name="good", decoding={"name": "beam", "num_beams": 5})
    write_run(path, data, [*good[:30], *bad[30:]], name="mixed", decoding={"name": "topk", "top_k": 10})
    return path


def loaded(folder, *names):
    return [load_run(RunFolder(folder / name)) for name in names]


@pytest.mark.oracle
def test_bleu_is_tested_as_sacrebleu_tests_it(folder, data, monkeypatch):
    """Single references of plain words, which both tokenize alike: the same figures, the same p-values."""
    bleu = pytest.importorskip("sacrebleu.metrics").BLEU
    from sacrebleu.significance import PairedTest

    runs = loaded(folder, "good", "mixed")
    found = compare(runs, ComparisonSettings(metrics=("bleu4",), resamples=200, trials=200, correction="none"))[0]
    monkeypatch.setenv("SACREBLEU_SEED", "12345")
    streams = [[e.references[0] for e in data]]
    metric = bleu(references=streams, tokenize="none", smooth_method="exp")
    named = [(run.name, run.hypotheses) for run in runs]
    for kind, ours in (("bs", found.bootstrap["bleu4"]), ("ar", found.randomization["bleu4"])):
        _, results = PairedTest(named, {"BLEU": metric}, None, test_type=kind, n_samples=200)()
        baseline, other = results["BLEU"]
        assert ours.a * 100 == pytest.approx(baseline.score, abs=0.005)
        assert ours.b * 100 == pytest.approx(other.score, abs=0.005)
        assert ours.p_value == pytest.approx(other.p_value, abs=1 / 201)


def test_clear_differences_are_told_and_their_direction(folder):
    c = compare(loaded(folder, "bad", "good"), ComparisonSettings(trials=400, resamples=100))[0]
    for name in ("nist2", "nist4", "bleu2", "bleu4"):
        result = c.bootstrap[name]
        assert result.difference == pytest.approx(result.b - result.a) and result.low > 0
        assert c.adjusted[name] >= c.randomization[name].p_value
        assert result.a == pytest.approx(c.a.scores[name])
    assert "higher on NIST-2, NIST-4, BLEU-2, BLEU-4" in to_markdown([c], QUICK)
    back = compare(loaded(folder, "good", "bad"), QUICK)[0]
    assert back.bootstrap["nist4"].difference == pytest.approx(-c.bootstrap["nist4"].difference)


def test_the_same_run_elsewhere_differs_in_nothing(folder, tmp_path, data):
    twin = write_run(tmp_path, data, replies(data, 1, 0.8), name="twin")
    c = compare([*loaded(folder, "good"), load_run(RunFolder(twin))], QUICK)[0]
    assert c.explanation.identical == len(data) and set(c.adjusted.values()) == {1.0}
    assert all(not rows for rows in c.explanation.extremes.values()) and all(
        not rows for rows in c.explanation.ngrams.values()
    )
    assert "no significant difference on" in to_markdown([c], QUICK)


def test_correction_counts_all_tests_of_all_pairs(folder):
    runs = loaded(folder, "bad", "good", "mixed")
    one = ComparisonSettings(metrics=("nist4",), resamples=50, trials=50)
    with_first = compare(runs, one)
    assert [(c.a.name, c.b.name) for c in with_first] == [("bad", "good"), ("bad", "mixed")]
    pairs = compare(runs, ComparisonSettings(metrics=("nist4",), resamples=50, trials=50, all_pairs=True))
    assert [(c.a.name, c.b.name) for c in pairs] == [("bad", "good"), ("bad", "mixed"), ("good", "mixed")]
    smallest = min(c.randomization["nist4"].p_value for c in pairs)
    assert min(c.adjusted["nist4"] for c in pairs) == pytest.approx(3 * smallest)
    plain = compare(runs, ComparisonSettings(metrics=("nist4",), resamples=50, trials=50, correction="none"))
    assert all(c.adjusted["nist4"] == c.randomization["nist4"].p_value for c in plain)


def test_too_few_trials_to_tell_anything_is_said(folder):
    """With m tests a Holm-corrected p-value is at least m / (trials + 1)."""
    runs = loaded(folder, "bad", "good")
    few = ComparisonSettings(trials=100, resamples=10)
    assert "cannot fall to 0.05: use more trials (at least 160)" in to_markdown(compare(runs, few), few)
    enough = ComparisonSettings(trials=160, resamples=10)
    text = to_markdown(compare(runs, enough), enough)
    assert "more trials" not in text and "higher on" in text


def test_identical_replies_are_counted_and_extremes_are_sorted(folder):
    c = compare(loaded(folder, "good", "mixed"), QUICK)[0]
    assert 30 <= c.explanation.identical < 60
    rows = c.explanation.extremes["nist"]
    assert all(row.a != row.b and row.index >= 30 for row in rows)
    gains = [row.difference for row in rows if row.difference > 0]
    losses = [row.difference for row in rows if row.difference < 0]
    assert gains == sorted(gains, reverse=True) and losses == sorted(losses) and len(losses) == 5
    every = [b - a for a, b in zip(c.a.segments["nist"], c.b.segments["nist"], strict=True)]
    assert losses[0] == pytest.approx(min(every))


def test_buckets_hold_every_example_once_and_their_own_corpus_figures(folder, data):
    from dialoeval.metrics import statistics

    runs = loaded(folder, "bad", "good")
    c = compare(runs, QUICK)[0]
    for rows in c.explanation.buckets.values():
        assert sum(row.examples for row in rows) == len(data)
    turns = c.explanation.buckets["turns in the context"]
    assert [row.label for row in turns] == ["1", "2", "3"]
    alone = [i for i, e in enumerate(data) if len(e.context) == 1]
    one = statistics(
        [runs[1].hypotheses[i] for i in alone],
        [runs[1].references[i] for i in alone],
        ProtocolConfig(name="none"),
        meteor=False,
    ).figures()
    assert turns[0].b["bleu4"] == pytest.approx(float(one["bleu4"][0]))
    assert turns[0].b["distinct2"] == pytest.approx(float(one["distinct2"][0]))


def test_equal_values_are_never_parted():
    class Counted:
        def figures(self, weights):
            return {"n": weights.sum(axis=1)}

    rows = buckets(Counted(), Counted(), [1] * 90 + [2] * 10)
    assert [(row.label, row.examples) for row in rows] == [("1", 90), ("2", 10)]
    assert [(row.label, row.examples) for row in buckets(Counted(), Counted(), [3, 3, 3])] == [("3", 3)]


def test_ngrams_that_tell_are_found_among_words_that_both_say():
    common = ["the cat sat on the mat"] * 50
    a, b = [*common, *["i do not know"] * 30], [*common, *["that is a great film"] * 30]
    found = distinctive_ngrams(a, b, 3)
    assert found[0].b == 30 and found[0].z > 1.96 and found[0].text in ("a great film", "is a great", "that is a")
    assert found[-1].a == 30 and found[-1].z < -1.96
    said = Counter(gram.text for gram in found)
    assert not [text for text in said if "cat" in text] and max(said.values()) == 1
    assert distinctive_ngrams(common, common, 2) == [] and distinctive_ngrams([], ["x"], 1) == []
    assert distinctive_ngrams(["x"], ["x", "x"], 1) == []


def test_common_replies_are_told():
    assert most_frequent(["i don't know", "i  don't know", "yes", "no", "no", "no"]) == [("no", 3), ("i don't know", 2)]


def test_different_examples_are_refused_with_how_many(folder, tmp_path, data):
    fewer = write_run(tmp_path, data[:50], replies(data[:50], 1), name="fewer")
    with pytest.raises(UserError, match=r"60 and 50 examples, of which 10 and 0 ids are in one run only .*'d0050'"):
        compare([*loaded(folder, "good"), load_run(RunFolder(fewer))], QUICK)
    shuffled = write_run(tmp_path, data[::-1], replies(data, 1), name="shuffled")
    with pytest.raises(UserError, match="the same 60 ids, in another order"):
        compare([*loaded(folder, "good"), load_run(RunFolder(shuffled))], QUICK)


def test_different_references_and_protocols_are_refused(folder, tmp_path, data):
    import dataclasses

    other = [dataclasses.replace(e, references=("something else",)) if i < 7 else e for i, e in enumerate(data)]
    path = write_run(tmp_path, other, replies(data, 1), name="other")
    with pytest.raises(UserError, match="the references of 7 of 60 ids differ"):
        compare([*loaded(folder, "good"), load_run(RunFolder(path))], QUICK)
    path = write_run(
        tmp_path, data, replies(data, 1), name="protocol", protocol=ProtocolConfig(name="x", clean="dstc7")
    )
    with pytest.raises(UserError, match=r"different protocols \(none and x\)"):
        compare([*loaded(folder, "good"), load_run(RunFolder(path))], QUICK)


@pytest.mark.parametrize("status", ["running", "failed"])
def test_incomplete_runs_are_refused(tmp_path, data, status):
    path = write_run(tmp_path, data, replies(data, 1), status=status)
    with pytest.raises(UserError, match=f"is not complete: {status}"):
        load_run(RunFolder(path))
    with pytest.raises(UserError, match="has no manifest"):
        load_run(RunFolder(tmp_path))


def test_runs_without_references_are_compared_on_diversity(tmp_path):
    some = examples(20, references=0)
    paths = [write_run(tmp_path, some, replies(some, 1), name="a"), write_run(tmp_path, some, WORDS[:20], name="b")]
    c = compare([load_run(RunFolder(path)) for path in paths], QUICK)[0]
    assert set(c.bootstrap) == {"entropy4", "distinct1", "distinct2", "avg_len"}
    assert "Dist-1" in to_markdown([c], QUICK)


def test_text_of_replies_cannot_break_the_markdown(tmp_path, data):
    said = replies(data, 1, 0.9)
    said[0] = "| a <b>bold</b> *x* \n# heading `code`"
    paths = [write_run(tmp_path, data, replies(data, 2, 0.9), name="a"), write_run(tmp_path, data, said, name="b")]
    c = compare([load_run(RunFolder(path)) for path in paths], QUICK)[0]
    text = to_markdown([c], QUICK)
    assert "<b>" not in text and "\n# heading" not in text
    assert len(figures_table(c).rows) == 8  # METEOR was not computed


def test_p_values_are_shown_as_finely_as_they_are_known():
    assert [p_text(p) for p in (1.0, 0.0499, 0.00099)] == ["1.000", "0.050", "<0.001"]


def test_one_headline_and_what_contradicts_it_is_explained(folder):
    paths = [path for path in sorted(folder.iterdir()) if (path / "scores.json").is_file()][:2]
    c = compare([load_run(RunFolder(path)) for path in paths], QUICK)[0]
    assert figures_table(c).headings[-2:] == ("p (adjusted)", "p (paired bootstrap)")
    result = PairedResult(a=1.0, b=2.0, difference=1.0, low=0.1, high=1.9, p_value=0.01, p_two_sided=0.02)
    for changed, said in (
        ({"adjusted": 0.2, "beside": 0.2, "p": 0.02}, "corrected for all tests"),
        ({"adjusted": 0.06, "beside": 0.02, "p": 0.06}, "the interval excludes 0 although p is above 0.05"),
        ({"adjusted": 0.04, "beside": 0.06, "p": 0.04}, "different sides of 0.05"),
        ({"adjusted": 0.04, "beside": 0.04, "p": 0.04}, ""),
    ):
        one = replace(
            c,
            bootstrap={"nist4": result},
            randomization={"nist4": replace(result, p_value=changed["p"])},
            adjusted={"nist4": changed["adjusted"]},
            adjusted_bootstrap={"nist4": changed["beside"]},
        )
        remarks = figures_table(one).remarks
        assert (said in remarks[0] and remarks[0].startswith("NIST-4: ")) if said else remarks == ()
        assert not said or said in to_markdown([one], QUICK)


def test_command_writes_all_three_formats(folder, tmp_path, capsys):
    out = tmp_path / "all"
    command = ["compare", "bad", "good", "--reports-dir", str(folder), "--resamples", "60", "--trials", "60"]
    assert main([*command, "--metric", "nist4, bleu4", "--metric", "avg_len", "--out", str(out)]) == 0
    assert "# toy beam against toy greedy" in capsys.readouterr().out
    values = json.loads((out / "comparison.json").read_text("utf-8"))
    assert list(values["comparisons"][0]["figures"]) == ["nist4", "bleu4", "avg_len"]
    assert values["settings"]["correction"] == "holm" and values["comparisons"][0]["examples"] == 60
    assert (out / "comparison.md").read_text("utf-8").startswith("# toy beam against")
    page = (out / "comparison.html").read_text("utf-8")
    assert 'id="comparison"' in page and "Replies that differ most" in page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["good"], "at least two runs"),
        (["good", "good"], "given twice"),
        (["good", "goof"], "no run in"),
        (["good", "bad", "--metric", "nist9"], "did you mean"),
        (["good", "bad", "--resamples", "0"], "at least 1"),
        (["good", "bad", "--seed", "-1"], "0 or more"),
        (["good", "bad", "--out", "x.pdf"], "must end in .md, .json or .html"),
    ],
)
def test_mistakes_are_one_line(folder, capsys, arguments, said):
    assert main(["compare", *arguments, "--reports-dir", str(folder)]) == 2
    error = capsys.readouterr().err
    assert said in error and len(error.splitlines()) == 1
