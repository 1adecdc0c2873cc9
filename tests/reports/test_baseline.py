"""Marks of the scores table: which figures are told apart from a baseline's, and which are the best."""

from __future__ import annotations

import re

import pytest
from support.report_runs import examples, replies, write_run

from dialoeval.cli.main import main
from dialoeval.config import ProtocolConfig
from dialoeval.errors import UserError
from dialoeval.metrics.score_tables import score_table
from dialoeval.reports import baseline as module
from dialoeval.reports import write_html
from dialoeval.reports.baseline import baseline_tests
from dialoeval.reports.compare import ComparisonSettings, compare
from dialoeval.reports.scores_view import scores_view
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.reader import load_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Replies like the references, replies unlike them, and replies as unlike as the baseline's."""
    folder = tmp_path_factory.mktemp("runs")
    data = examples(50, references=3)
    made = {"base": (1, 0.3), "good": (2, 0.9), "bad": (3, 0.0), "same": (4, 0.3)}
    return [
        load_run(
            RunFolder(write_run(folder, data, replies(data, *how), name=name, extra=("rouge_l", "sacrebleu_bleu")))
        )
        for name, how in made.items()
    ]


def test_the_p_values_are_those_of_compare(runs):
    tests = baseline_tests(runs)
    names = tuple(name for name in tests.p_values[1])
    theirs = compare(runs, ComparisonSettings(metrics=names, resamples=10))
    assert tests.baseline == 0 and tests.p_values[0] == {}
    assert [c.adjusted for c in theirs] == [pytest.approx(p) for p in tests.p_values[1:]]
    assert "rouge_l" in names and "sacrebleu_bleu" not in names  # only what the runs hold scores of each reply for
    assert "27 tests" in tests.legend and "1,000 trials" in tests.legend and "Holm" in tests.legend


def test_real_differences_are_marked_by_side_and_others_not(runs):
    best = score_table([(run.name, run.scores) for run in runs]).best()
    view = scores_view(runs, baseline_tests(runs), best)
    column = [explained.name for explained in view.columns].index("bleu2")
    marks = [cells[column].mark for _, _, _, cells in view.rows]
    assert marks == ["", "▲", "▼", ""]
    assert [cells[column].best for _, _, _, cells in view.rows] == [False, True, False, False]
    said = view.rows[2][3][column].said
    assert re.fullmatch(r"worse, lower than toy greedy base, p = 0\.0\d\d", said)
    other = scores_view(runs, baseline_tests(runs, "bad"), best)
    assert [cells[column].mark for _, _, _, cells in other.rows] == ["▲", "▲", "", "▲"]


def test_a_baseline_that_no_run_is_called_is_refused(runs):
    with pytest.raises(UserError, match="no run has"):
        baseline_tests(runs, "nobody")
    with pytest.raises(UserError, match="several runs have"):
        baseline_tests(runs, "toy greedy")
    assert baseline_tests(runs, "none").baseline is None
    assert baseline_tests(runs[:1]).baseline is None


def test_runs_of_other_data_or_protocols_are_not_tested_and_the_page_says_why(tmp_path, runs):
    data = examples(50, seed=9, references=3)
    other = load_run(RunFolder(write_run(tmp_path, data, replies(data, 1), name="other")))
    tests = baseline_tests([runs[0], other])
    assert tests.baseline is None and "not on the same data" in tests.legend
    data = examples(50, references=3)
    path = write_run(
        tmp_path, data, replies(data, 1), name="dstc7", protocol=ProtocolConfig(name="dstc7", clean="dstc7")
    )
    tests = baseline_tests([runs[0], load_run(RunFolder(path))])
    assert tests.baseline is None and "different protocols" in tests.legend


def test_many_runs_have_enough_trials_and_long_work_leaves_out_what_takes_long(runs, monkeypatch):
    assert module._trials(27) == 1000 and module._trials(99) / 99 >= 1 / 0.05
    monkeypatch.setattr(module, "MOST_WORK", 10)
    tests = baseline_tests(runs)
    assert "entropy4" not in tests.p_values[1] and "bleu4" in tests.p_values[1]
    assert "Not tested, since it would take minutes: Entropy-4, Dist-1, Dist-2" in tests.legend
    assert "entropy4" in baseline_tests(runs, "base").p_values[1]  # asked for


def test_the_command_takes_a_baseline(runs, tmp_path, capsys):
    paths = [str(run.path) for run in runs[:2]]
    assert main(["report", *paths, "--out", str(tmp_path / "a.html"), "--baseline", "good"]) == 0
    assert "Tests against the baseline, toy greedy good" in (tmp_path / "a.html").read_text("utf-8")
    assert main(["report", *paths, "--out", str(tmp_path / "b.html"), "--baseline", "nobody"]) == 2
    assert "no run has that name" in capsys.readouterr().err
    write_html(paths, tmp_path / "c.html", baseline="none")
    assert "Tests against" not in (tmp_path / "c.html").read_text("utf-8")
