"""The report on judgments: files, page and what is printed."""

from __future__ import annotations

import json
import re

import pytest
from support.judgment_rows import coin_flips, preferences, ratings

from dialoeval.cli import judge_report
from dialoeval.errors import UserError
from dialoeval.judging.analysis import analyse
from dialoeval.judging.estimates import Settings
from dialoeval.reports.judgments_page import write_judgments
from dialoeval.reports.judgments_plots import pictures
from dialoeval.tables import Strong, Table

FEW = Settings(resamples=50)


def write(tmp_path, judgments):
    file = tmp_path / "judgments.jsonl"
    file.write_text("".join(json.dumps(row.to_json()) + "\n" for row in judgments.rows))
    return str(file)


def test_the_command_writes_three_files_and_prints_the_table(tmp_path, capsys):
    file = write(tmp_path, coin_flips(30))
    out = tmp_path / "out"
    assert judge_report.main(["--from", file, "--resamples", "50", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "| relevance" in printed and "written:" in printed and "270 answers of 20 judges on 30 contexts" in printed
    values = json.loads((out / "analysis.json").read_text())
    assert values["schema"] == 1 and len(values["people"]["wins"]) == 9 and values["judgments_sha256"]
    markdown = (out / "report.md").read_text()
    for heading in ("Win, tie, loss", "Preference", "Strengths", "Agreement", "Judges", "What was counted"):
        assert f"## {heading}" in markdown
    page = (out / "report.html").read_text()
    assert page.count("<svg") == 6 and "http://" not in page and "https://" not in page


def test_json_is_printed_alone(tmp_path, capsys):
    file = write(tmp_path, ratings({"s": [[1, 2, 3]] * 4, "t": [[3, 4, 5]] * 4}))
    assert judge_report.main(["--from", file, "--resamples", "50", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "likert"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give a study folder, or --from FILE"),
        (["study", "--from", "x"], "give a study folder, or --from FILE"),
        (["study", "--map", "judge=x"], "are for --from FILE"),
        (["--from", "nothing.tsv"], "neither a study folder nor a file"),
        (["--from", "{file}", "--anchor", "zz"], "no system 'zz'"),
        (["--from", "{file}", "--points", "5"], "expected LOWEST-HIGHEST"),
        (["--from", "{file}", "--resamples", "-1"], "must not be negative"),
        (["--from", "{file}", "--kind", "likert"], "of kind pairwise, not likert"),
    ],
)
def test_bad_arguments(tmp_path, arguments, said):
    file = write(tmp_path, preferences([[1, 0]]))
    with pytest.raises(UserError, match=said):
        judge_report.main([text.format(file=file) for text in arguments])


def test_no_resamples_no_intervals_over_contexts(tmp_path, capsys):
    assert judge_report.main(["--from", write(tmp_path, coin_flips(12)), "--resamples", "0"]) == 0
    assert "| relevance" in capsys.readouterr().out


def test_names_of_systems_and_judges_are_escaped(tmp_path):
    evil = "<script>alert(1)</script>"
    judgments = ratings({evil: [[1, 2]] * 3, "b": [[2, 5]] * 3})
    write_judgments(analyse(judgments, FEW), tmp_path / "page.html")
    assert evil not in (tmp_path / "page.html").read_text()


def test_bars_show_the_shares():
    analysis = analyse(preferences([[1]] * 6 + [[0]] * 1 + [[-1]] * 3), FEW)
    plot = pictures(analysis.people, "wins")[0]
    widths = [float(w) for w in re.findall(r'<rect[^>]* width="([\d.]+)"', plot.svg)]
    assert [round(10 * w / sum(widths)) for w in widths] == [6, 1, 3]
    assert "prefer a: 6 (60%)" in plot.svg


def test_forest_has_both_intervals_and_says_what_is_missing():
    values = {"s": [[1, 2, 3], [2, 2, 4], [5, 1, 1]] * 3, "t": [[1, 1, 1]] * 9}
    plots = pictures(analyse(ratings(values), FEW).people, "means")
    assert [plot.title.split(": ")[1] for plot in plots] == ["relevance", "informativeness", "overall"]
    assert plots[0].svg.count("whisker thick") == 1 and plots[0].svg.count("whisker thin") == 1


def test_bold_cells_in_every_format():
    table = Table(("A", "B"), (("x", Strong("1 (50%)")),))
    assert "**1 (50%)**" in table.to_markdown() and "<strong>1 (50%)</strong>" in table.to_html()
    assert r"\textbf{1 (50\%)}" in table.to_latex() and "1 (50%)" in table.to_csv()
