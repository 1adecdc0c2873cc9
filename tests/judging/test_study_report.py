"""A study from its making to its report: judges who answer through the store, analysed from the study's folder."""

from __future__ import annotations

import json

import pytest
from support.report_runs import examples, replies, write_run

from dialoeval.cli import judge_correlate, judge_report
from dialoeval.errors import UserError
from dialoeval.judging.assign import next_item
from dialoeval.judging.new import Options, make_study
from dialoeval.judging.sources import read_source
from dialoeval.judging.store import Assignment, Store
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.reader import load_run


def judged(tmp_path, judges=3):
    """Two runs and the human reply on ten contexts; every judge prefers the human reply, then the first run."""
    given = examples(30)
    paths = {name: write_run(tmp_path, given, replies(given, i), name=name) for i, name in enumerate(("one", "two"))}
    runs = {name: load_run(RunFolder(path)) for name, path in paths.items()}
    options = Options(contexts=10, human=True, human_scored=True)
    study = make_study(runs, options, tmp_path / "study", tmp_path)
    store = Store(study)
    store.open_study()
    worth = {"human": 2, "one": 1, "two": 0}
    for judge in (f"j{k}" for k in range(judges)):
        store.add_judge(judge)
    for judge in (f"j{k}" for k in range(judges)):
        while isinstance(found := next_item(store, judge), Assignment):
            better = found.left if worth.get(found.left, 0) > worth.get(found.right, 0) else found.right
            value = "a" if better == found.left else "b"
            store.record(found.token, judge, {q.name: value for q in study.design.questions})
    store.close()
    return study


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return judged(tmp_path_factory.mktemp("judged"))


def test_a_study_is_reported_from_its_folder(study, capsys):
    assert judge_report.main([str(study.path), "--resamples", "100", "--anchor", "human"]) == 0
    printed = capsys.readouterr().out
    values = json.loads((study.path / "analysis.json").read_text())
    assert len(values["people"]["wins"]) == 9 and values["tally"]["counted"] == 10 * 3 * 3 * 3
    for win in values["people"]["wins"]:
        human_lost = (win["judgments"]["losses"] if win["second"] == "human" else win["judgments"]["wins"]) == 30
        assert human_lost or {win["first"], win["second"]} == {"one", "two"}
        assert win["items"]["ties"] == 0 and win["p_value"] == pytest.approx(2 / 2**10)
    assert "| relevance" in printed and (study.path / "report.html").is_file()
    text = (study.path / "report.md").read_text()
    assert "no finite strength" in text and "circular" in text
    assert values["side"]["decided"] == 270


def test_sides_are_mapped_to_systems(study):
    rows = [row for row in read_source(str(study.path)).rows if row.kind == "real"]
    assert {row.shown_first for row in rows} == {"one", "two", "human"}
    human = [row for row in rows if "human" in row.systems]
    assert all(row.value == (1 if row.systems[0] == "human" else -1) for row in human)


def test_its_own_runs_are_its_metrics_and_length_is_listed(study, capsys):
    assert judge_correlate.main([str(study.path), "--resamples", "20", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    lines = {line["metric"]: line for line in values["segments"] if line["question"] == "relevance"}
    assert "length" in lines and "nist" in lines
    length = next(line for line in values["systems"] if line["metric"] == "length")
    assert length["systems"] == ["one", "two", "human"] and values["human"] == "human"


def test_a_folder_that_is_no_study(tmp_path):
    with pytest.raises(UserError, match=r"is not a study: it has no study\.yaml"):
        read_source(str(tmp_path))


def test_a_study_without_judgments_says_so(tmp_path, capsys):
    study = judged(tmp_path, judges=0)
    assert judge_report.main([str(study.path), "--resamples", "20"]) == 0
    assert "not computed: needs judgments" in (study.path / "report.md").read_text()
    with pytest.raises(UserError, match="no judgments of people"):
        judge_correlate.main([str(study.path)])
