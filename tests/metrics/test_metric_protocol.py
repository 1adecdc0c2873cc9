"""What every metric gets from its statistics: interval, paired test, score of each reply, column."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.report_runs import WORDS, examples, replies, write_run

from dialoeval import stats
from dialoeval.cli.main import main
from dialoeval.config import ScoringConfig
from dialoeval.errors import UserError
from dialoeval.metrics import extra, registry, score
from dialoeval.metrics.score_tables import score_table
from dialoeval.metrics.scores import Scores
from dialoeval.metrics.system_statistics import Statistics, statistics

RESAMPLED = (
    "sacrebleu_bleu",
    "sacrebleu_chrf",
    "sacrebleu_ter",
    "rouge_l",
    "exact_match",
    "repetition",
    "length_histogram",
)
VALUES = ("self_bleu", "nltk_nist")


@pytest.fixture(scope="module")
def system():
    """40 replies, each with one to three references of the same few words; the last has no reference."""
    draw = random.Random(3)

    def line() -> str:
        return " ".join(draw.choices(WORDS[:12], k=draw.randint(4, 9)))

    hypotheses = [line() for _ in range(40)]
    references = [[line() for _ in range(draw.randint(1, 3))] for _ in range(39)] + [[]]
    references[0][0] = hypotheses[0]  # an exact match
    hypotheses[1] = "so so so so so so"  # a repeated 4-gram
    return hypotheses, references


@pytest.mark.parametrize("name", RESAMPLED)
def test_a_metric_has_interval_signature_reply_scores_and_column(system, name):
    scoring = ScoringConfig(meteor=False, extra=[name], resamples=100)
    scores = score(*system, scoring=scoring)
    low, high = scores.interval(name)
    assert low <= scores[name] <= high and low < high
    assert scores.extra[name].signature and scores.extra[name].score == scores[name]
    table = score_table([("x", scores)], intervals=True)
    assert registry.figure(name).heading in table.headings and re.search(r"±|\[.+, .+\]", str(table.rows[0][-1]))
    rows = list(statistics(*system, meteor=False, extra=[name]).segments([str(i) for i in range(40)]).rows())
    assert all(isinstance(row[name], float) for row in rows[:-1])
    if registry.get(name).needs_references:
        assert rows[-1][name] is None


@pytest.mark.parametrize("name", RESAMPLED)
def test_figures_of_a_choice_are_those_of_a_set_of_these_replies(system, name):
    hypotheses, references = system
    whole = statistics(hypotheses, references, meteor=False, extra=[name])
    weights = np.arange(40) % 3
    chosen = [i for i in range(40) for _ in range(weights[i])]
    part = statistics([hypotheses[i] for i in chosen], [references[i] for i in chosen], meteor=False, extra=[name])
    assert whole.figures(weights[None])[name][0] == pytest.approx(part.figures()[name][0], abs=1e-9)


@pytest.mark.parametrize("name", RESAMPLED)
def test_order_and_shards_change_nothing(system, name):
    hypotheses, references = system
    figure = statistics(hypotheses, references, meteor=False, extra=[name]).figures()[name][0]
    order = random.Random(1).sample(range(40), 40)
    shuffled = statistics(
        [hypotheses[i] for i in order], [references[i] for i in order], meteor=False, extra=[name]
    ).figures()[name][0]
    shards = [statistics(hypotheses[k::3], references[k::3], meteor=False, extra=[name]) for k in range(3)]
    assert shuffled == pytest.approx(figure) and Statistics.merge(shards).figures()[name][0] == pytest.approx(figure)


@pytest.mark.parametrize("test", [stats.paired_bootstrap, stats.approximate_randomization])
def test_paired_tests_tell_a_clear_difference_and_none(system, test):
    hypotheses, references = system
    worse = [" ".join(reversed(line.split()[:3])) for line in hypotheses]
    a, b = (statistics(h, references, meteor=False, extra=RESAMPLED) for h in (hypotheses, worse))
    results = test(a, b, 100, 1)
    assert set(RESAMPLED) <= set(results)
    assert results["length_histogram"].p_value < 0.05 and results["length_histogram"].difference < 0
    assert all(result.p_value == 1.0 for result in test(a, a, 50, 1).values())


def test_a_new_metric_is_one_file(system, tmp_path, monkeypatch):
    """The example of docs/metrics.md, put beside the metrics that are there, is a metric like them."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "metrics.md").read_text("utf-8")
    (tmp_path / "questions.py").write_text(re.findall(r"```python\n(.*?)```", page, re.S)[-1], encoding="utf-8")
    monkeypatch.setattr(extra, "__path__", [*extra.__path__, str(tmp_path)])
    hypotheses = [line + "?" if i % 3 else line for i, line in enumerate(system[0])]
    scores = score(hypotheses, system[1], scoring=ScoringConfig(meteor=False, extra=["questions"], resamples=50))
    assert scores["questions"] == pytest.approx(26 / 40) and scores.interval("questions")[0] < 26 / 40
    assert "questions" in registry.available() and registry.figure("questions").heading == "Questions"
    a, b = (statistics(h, system[1], meteor=False, extra=["questions"]) for h in (system[0], hypotheses))
    assert stats.paired_bootstrap(a, b, 100)["questions"].p_value < 0.05
    assert next(a.segments([str(i) for i in range(40)]).rows())["questions"] == 0.0
    assert "Questions" in score_table([("x", scores)]).to_markdown()


def test_a_value_of_the_whole_set_has_no_interval_and_no_test(system):
    scores = score(*system, scoring=ScoringConfig(meteor=False, extra=list(VALUES), resamples=50))
    a = statistics(*system, meteor=False, extra=VALUES)
    for name in VALUES:
        assert scores[name] > 0 and scores.interval(name) is None
        assert name not in stats.paired_bootstrap(a, a, 10) and name not in stats.approximate_randomization(a, a, 10)


def test_scores_come_back_from_json_whole(system):
    scores = score(*system, scoring=ScoringConfig(meteor=False, extra=["rouge_l", "repetition"], resamples=50))
    again = Scores.from_json(json.loads(json.dumps(scores.to_json())))
    assert again.to_json() == scores.to_json()
    assert again.figures == scores.figures and again.interval("repetition.1") == scores.interval("repetition.1")


def test_warnings_are_computed_and_come_back_from_json(system):
    plain = score(*system, scoring=ScoringConfig(meteor=False, resamples=0))
    assert plain.warnings == () and "warnings" not in plain.to_json()  # files without them stay the same, byte for byte
    scoring = ScoringConfig(meteor=False, resamples=0)
    scores = score(["the same"] * 3, [["a b"], ["c"], ["d __eou__ e"]], scoring=scoring, contexts=[["x"], [], ["y"]])
    assert [w.kind for w in scores.warnings] == ["equal_replies", "markers_in_references", "empty_contexts"]
    written = json.loads(json.dumps(scores.to_json()))
    assert written["warnings"][0]["count"] == 3 and Scores.from_json(written) == scores


@pytest.mark.parametrize("damaged", [{}, None, "x", [1], [{}], [{"kind": "k", "count": 1.5, "total": 2}]])
def test_damaged_warnings_are_named(system, damaged):
    written = score(*system, scoring=ScoringConfig(meteor=False, resamples=0)).to_json()
    with pytest.raises(UserError, match='field "warnings" must be a list of objects with kind, count'):
        Scores.from_json(written | {"warnings": damaged})


def test_extra_metrics_are_tested_and_shown_by_compare_and_report(tmp_path, capsys):
    data = examples(30)
    for name, seed, likeness in (("good", 1, 0.9), ("bad", 2, 0.1)):
        write_run(tmp_path, data, replies(data, seed, likeness), name=name, decoding={"name": name}, extra=("rouge_l",))
    pair = [str(tmp_path / "bad"), str(tmp_path / "good")]
    assert main(["compare", *pair, "--trials", "300", "--out", str(tmp_path / "c.json")]) == 0
    assert "ROUGE-L" in capsys.readouterr().out
    (comparison,) = json.loads((tmp_path / "c.json").read_text("utf-8"))["comparisons"]
    assert comparison["figures"]["rouge_l"]["p_adjusted"] < 0.05 and comparison["extremes"]["rouge_l"]
    only = ["--metric", "rouge_l", "--out", str(tmp_path / "d.json")]
    assert main(["compare", *pair, *only]) == 0
    (comparison,) = json.loads((tmp_path / "d.json").read_text("utf-8"))["comparisons"]
    assert list(comparison["figures"]) == ["rouge_l"]
    assert main(["report", *pair, "--out", str(tmp_path / "p.html")]) == 0
    assert "ROUGE-L" in (tmp_path / "p.md").read_text("utf-8")
    assert '["ROUGE-L",3]' in (tmp_path / "p.html").read_text("utf-8")
    assert main(["compare", *pair, "--metric", "rouge"]) == 2
    assert "rouge_l" in capsys.readouterr().err


def test_runs_whose_extra_metric_is_not_here_are_compared_without_it(tmp_path, capsys):
    data = examples(20)
    pair = [
        write_run(tmp_path, data, replies(data, seed), name=name, decoding={"name": name}, extra=("rouge_l",))
        for name, seed in (("one", 1), ("two", 2))
    ]
    for folder in pair:
        text = (folder / "scores.json").read_text("utf-8")
        (folder / "scores.json").write_text(text.replace('"rouge_l"', '"perplexity:/nowhere/at/all"'), "utf-8")
    few = ["--trials", "20", "--resamples", "20"]
    assert main(["compare", *map(str, pair), *few]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith("compared without perplexity:/nowhere/at/all: ") and "NIST-4" in printed.out
    assert main(["compare", *map(str, pair), *few, "--metric", "perplexity:/nowhere/at/all"]) == 2


def test_details_of_merged_shards_are_those_of_the_whole():
    texts = ["a a a a a a a", "b c d e f g", "h h h h h"]
    whole = statistics(texts, [["x"]] * 3, meteor=False, extra=["repetition", "perplexity:tiny"])
    shards = [statistics([text], [["x"]], meteor=False, extra=["repetition", "perplexity:tiny"]) for text in texts]
    merged = Statistics.merge(shards)
    for name in ("repetition", "perplexity:tiny"):
        assert merged.parts[name].details() == whole.parts[name].details()


def test_further_figures_come_back_from_json_without_intervals_too():
    scores = score(["a a a a a", "b c"], [["a"], ["b"]], scoring=ScoringConfig(False, ["repetition"], resamples=0))
    again = Scores.from_json(json.loads(json.dumps(scores.to_json())))
    assert again.figures == scores.figures and again["repetition.1"] == scores["repetition.1"] > 0


def test_a_further_figure_of_a_metric_with_an_argument_is_found():
    assert registry.metric_of("bertscore:@1.precision") == "bertscore:@1"
    assert registry.figure("bertscore:@1.precision").heading.startswith("BERTScore P")
    assert registry.metric_of("bertscore:some/model.v2.recall") == "bertscore:some/model.v2"
    assert registry.metric_of("perplexity:some/model.v2") == "perplexity:some/model.v2"


def test_a_draw_without_any_reference_has_no_figure():
    """One of three replies has a reference and equals it: a resample that misses it is not a score of 0."""
    extra_metrics = ["sacrebleu_bleu", "sacrebleu_ter", "rouge_l"]
    scores = score(
        ["a b c d", "x y", "z"], [["a b c d"], [], []], scoring=ScoringConfig(False, extra_metrics, resamples=200)
    )
    assert scores.interval("sacrebleu_bleu") == pytest.approx((100, 100))
    assert scores.interval("sacrebleu_ter") == (0, 0) and scores.interval("rouge_l") == (1, 1)


def test_a_figure_that_cannot_be_tested_is_refused_by_name(tmp_path, capsys):
    data = examples(10)
    pair = [
        str(write_run(tmp_path, data, replies(data, seed), name=name, decoding={"name": name}))
        for name, seed in (("one", 1), ("two", 2))
    ]
    for figures in ("self_bleu", "bleu2,self_bleu", "meteor"):
        assert main(["compare", *pair, "--metric", figures]) == 2
        assert f"{figures.rpartition(',')[2]} cannot be tested on these runs" in capsys.readouterr().err


def test_the_papers_metrics_are_not_extra():
    with pytest.raises(UserError, match="bleu is one of the paper's metrics"):
        score(["a"], [["a"]], scoring=ScoringConfig(False, ["bleu"]))


def _inputs():
    pandas = pytest.importorskip("pandas")
    yield ["a b", "c"], [["a b"], ["c", "d"]]
    yield ("a b", "c"), (("a b",), ("c", "d"))
    yield np.array(["a b", "c"]), [np.array(["a b"]), np.array(["c", "d"])]
    yield pandas.Series(["a b", "c"], index=[7, 3]), pandas.Series([["a b"], ["c", "d"]], index=[7, 3])
    yield (text for text in ["a b", "c"]), (iter(refs) for refs in [["a b"], ["c", "d"]])


def test_whatever_holds_strings_in_order_is_taken():
    expected = score(["a b", "c"], [["a b"], ["c", "d"]], scoring=ScoringConfig(meteor=False)).figures
    for hypotheses, references in _inputs():
        assert score(hypotheses, references, scoring=ScoringConfig(meteor=False)).figures == expected


@pytest.mark.parametrize(
    ("hypotheses", "references", "message"),
    [
        (["a", None], [["x"], ["y"]], r"hypotheses\[1\] is None"),
        (["a", float("nan")], [["x"], ["y"]], r"hypotheses\[1\] is NaN \(a missing value\)"),
        (["a"], [["x", None]], r"references\[0\]\[1\] is None"),
        (["a"], [None], r"references\[0\] is not a list of strings"),
        (["a"], ["x"], r"references\[0\] is not a list of strings"),
        (["a"], [{"x": 1}], r"references\[0\] is not a list of strings"),
        ({"a": 1}, [["x"]], "hypotheses is a dict"),
        ("a", [["x"]], "hypotheses is one string"),
        (7, [["x"]], "hypotheses is not a list but int"),
        (np.array([1.5]), [["x"]], r"hypotheses\[0\] is float64"),
        (np.array("a"), [["x"]], "hypotheses is not a list but ndarray"),
        (["a"], [pd.DataFrame({"x": ["y"]})], r"references\[0\] is not a list of strings but DataFrame"),
        (["a"], [["x"], ["y"]], "1 replies but 2 lists of references"),
    ],
)
def test_entries_that_are_not_strings_are_refused_with_their_position(hypotheses, references, message):
    with pytest.raises(UserError, match=message):
        score(hypotheses, references)


def test_a_figure_that_is_not_there_says_why():
    scores = score(["a"], [[]], scoring=ScoringConfig(meteor=False))
    with pytest.raises(UserError, match="no reply has a reference"):
        scores["bleu4"]
    with pytest.raises(UserError, match="did you mean 'distinct2'"):
        scores["distinct3"]
    assert scores.get("bleu4") is None and scores["avg_len"] == 1
    assert repr(scores).startswith("Scores(1 replies, protocol none: ") and "\n" not in repr(scores)
    assert "<table" in scores._repr_html_()
    assert "bleu4" not in scores and "avg_len" in scores and list(scores) == list(scores.figures)
    with pytest.raises(UserError, match="named by a string"):
        scores[0]
    frame = scores.to_frame()
    assert frame.loc["avg_len", "value"] == 1 and list(frame.columns) == ["value", "low", "high", "signature"]
