"""Human judgments of a study as columns of the page of its runs."""

from __future__ import annotations

import json

import pytest
from support.page_checks import CONTRASTS, OVERLAPS
from support.report_runs import examples, replies, write_run

from dialoeval.cli import judge_report
from dialoeval.cli.main import main
from dialoeval.errors import UserError
from dialoeval.judging.assign import next_item
from dialoeval.judging.judgments import StudyKind
from dialoeval.judging.new import Options, make_study
from dialoeval.judging.store import Assignment, Store
from dialoeval.reports.human_columns import human_columns
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.reader import load_run


def judged(folder, kind=StudyKind.pairwise, judges=4):
    """Three runs of which the second is in no study; every judge prefers, or rates higher, the third."""
    data = examples(30)
    for i, name in enumerate(("one", "unjudged", "two")):
        write_run(folder, data, replies(data, i), name=name, model=name)
    runs = {name: load_run(RunFolder(folder / name)) for name in ("one", "two")}
    study = make_study(runs, Options(contexts=12, kind=kind), folder / "study", folder)
    store = Store(study)
    store.open_study()
    for k in range(judges):
        store.add_judge(f"j{k}")
    for k in range(judges):
        while isinstance(found := next_item(store, f"j{k}"), Assignment):
            if kind == StudyKind.pairwise:
                value = "a" if found.left == "two" else "b"
            else:
                value = 5 if found.left == "two" else 2
            store.record(found.token, f"j{k}", {q.name: value for q in study.design.questions})
    store.close()
    return study


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    made = judged(tmp_path_factory.mktemp("pairs"))
    assert judge_report.main([str(made.path), "--resamples", "50"]) == 0
    return made


def loaded(study):
    return [load_run(RunFolder(study.path.parent / name)) for name in ("one", "unjudged", "two")]


def test_pairs_are_shares_that_prefer_the_run_to_the_baseline(study):
    for column in human_columns(str(study.path), loaded(study), 0):
        one, unjudged, two = column.cells
        assert "preferred to one" in column.about.heading and two.cell.value == 100.0 and two.mark == "▲"
        assert one.cell.value is None and one.cell.why == "not judged against one"
        assert unjudged.cell.value is None
    (first, *_) = human_columns(str(study.path), loaded(study), 2)
    assert first.cells[0].cell.value == 0.0 and first.cells[0].mark == "▼"  # the other side of the same judgments
    values = json.loads((study.path / "analysis.json").read_text())["people"]["wins"][0]
    assert {values["first"], values["second"]} == {"one", "two"} and values["p_adjusted"] <= 0.05


def test_ratings_are_means(tmp_path, capsys):
    made = judged(tmp_path, StudyKind.likert)
    assert judge_report.main([str(made.path), "--resamples", "50"]) == 0
    for column in human_columns(str(made.path), loaded(made), 0):
        assert [shown.cell.value for shown in column.cells] == [2.0, None, 5.0]
    paths = [str(run.path) for run in loaded(made)]
    assert main(["report", *paths, "--out", str(tmp_path / "r.html"), "--judgments", str(made.path)]) == 0
    assert "<strong>5.00</strong>" in (tmp_path / "r.html").read_text("utf-8")


def test_the_page_and_its_tables_have_the_columns(study, tmp_path, capsys):
    paths = [str(run.path) for run in loaded(study)]
    out = tmp_path / "r.html"
    assert main(["report", *paths, "--out", str(out), "--judgments", str(study.path)]) == 0
    text = out.read_text("utf-8")
    assert "relevance: preferred to one (people)" in text and "Share of the decided judgments" in text
    assert "preferred to one (people)" in out.with_suffix(".md").read_text("utf-8")
    assert ",people_relevance," in out.with_suffix(".csv").read_text("utf-8")


def test_what_is_no_analysis_of_these_runs_is_refused(study, tmp_path, capsys):
    data = examples(5)
    other = load_run(RunFolder(write_run(tmp_path, data, replies(data, 8), name="other")))
    with pytest.raises(UserError, match="a study of other replies"):
        human_columns(str(study.path), [other], 0)
    unfinished = judged(tmp_path / "more", judges=1)
    with pytest.raises(UserError, match=r"has no analysis\.json: write it with `dialoeval judge report"):
        human_columns(str(unfinished.path), loaded(unfinished), 0)
    assert judge_report.main([str(unfinished.path), "--resamples", "20"]) == 0
    values = json.loads((unfinished.path / "analysis.json").read_text())
    (unfinished.path / "analysis.json").write_text(json.dumps(values | {"judgments_sha256": "0" * 64}))
    with pytest.raises(UserError, match="older than the study's judgments"):
        human_columns(str(unfinished.path), loaded(unfinished), 0)
    (unfinished.path / "analysis.json").write_text("[]")
    with pytest.raises(UserError, match="is not the analysis of a study"):
        human_columns(str(unfinished.path), loaded(unfinished), 0)


@pytest.mark.browser
@pytest.mark.parametrize("kind", list(StudyKind))
def test_pictures_of_judgments_have_no_label_over_another_or_a_bar(browser, tmp_path, kind, capsys):
    made = judged(tmp_path, kind)
    assert judge_report.main([str(made.path), "--resamples", "50"]) == 0
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.goto((made.path / "report.html").as_uri())
        assert page.locator("svg text").count() > 5
        assert page.evaluate(OVERLAPS) == [] and page.evaluate(CONTRASTS) == {}
    page.close()
