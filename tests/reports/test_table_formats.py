"""CSV for programs and LaTeX for papers: names and units of JSON, headings, the best figure, the width of a page."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialoeval import latex
from dialoeval.config import ProtocolConfig
from dialoeval.metrics.figures import FIGURES, PAPER_TABLE
from dialoeval.metrics.score_tables import score_table
from dialoeval.metrics.scores import Scores
from dialoeval.reports.paper import table_of
from dialoeval.tables import Cell, Heading, Strong, Table


def scores(figures, intervals=None, n=10, protocol="none") -> Scores:
    return Scores(
        n, {name: figures[name] for name in FIGURES if name in figures}, intervals or {}, {"nist": ""},
        ProtocolConfig(name=protocol), {}, 0,
    )  # fmt: skip


def full(value: float) -> Scores:
    spread = {figure.name: (0.9 * value, 1.1 * value) for figure in PAPER_TABLE}
    return scores(dict.fromkeys(FIGURES, value), spread)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(FIGURES)), st.floats(0, 1), min_size=1), st.floats(0, 1))
def test_csv_gives_back_names_and_values_of_json(figures, low):
    one = scores(figures, dict.fromkeys(figures, (low, 1.0)))
    (row,) = csv.DictReader(io.StringIO(score_table([("x", one)], intervals=True).to_csv()))
    for figure in PAPER_TABLE:
        if figure.name not in figures:
            assert row[figure.name] == ""
            continue
        found = (row[figure.name], row[f"{figure.name}_low"], row[f"{figure.name}_high"])
        assert tuple(map(float, found)) == pytest.approx((figures[figure.name], low, 1.0), rel=1e-8)
    assert all(re.fullmatch(r"[a-z]\w*", name) for name in row)


@given(st.lists(st.sampled_from(["A", "a", "A_2", "", "%", "B - A", "±", "x y"]), min_size=1, max_size=9))
def test_no_two_columns_have_one_name(headings):
    found = Table(tuple(headings), ()).column_names()
    assert len(set(found)) == len(headings) and all(found)


def test_the_published_table_is_as_published_in_fractions():
    rows = {row["system"]: row for row in csv.DictReader(io.StringIO(table_of("reddit6k").to_csv()))}
    for row, shown in zip(table_of("reddit6k").rows, rows.values(), strict=True):
        for figure, cell in zip(PAPER_TABLE, row[1:], strict=True):
            if cell.value is not None:
                assert float(shown[figure.name]) == pytest.approx(cell.value / (100 if figure.percent else 1))


def spans(line: str) -> int:
    """Return how many columns a line of a tabular has."""
    wide = [int(k) - 1 for k in re.findall(r"\\multicolumn\{(\d+)\}", line)]
    return len(re.findall(r"(?<!\\)&", line)) + 1 + sum(wide)


def body(table: Table) -> list[str]:
    text = table.to_latex()
    return [line for line in text.split("\\midrule\n")[1].split("\\bottomrule")[0].splitlines() if line]


def test_units_stand_in_two_lines_of_headings_and_in_no_cell():
    table = score_table([("one", full(0.5)), ("two", full(0.25))], intervals=True)
    text = table.to_latex()
    head = text.split("\\toprule\n")[1].split("\\midrule")[0].splitlines()
    assert head == [
        r" & \multicolumn{2}{c}{NIST} & \multicolumn{2}{c}{BLEU (\%)} & METEOR & Entropy "
        r"& \multicolumn{2}{c}{Dist (\%)} & Avg \\",
        r"\cmidrule(lr){2-3} \cmidrule(lr){4-5} \cmidrule(lr){8-9}",
        r"System & 2 & 4 & 2 & 4 & (\%) & 4 & 1 & 2 & Len \\",
    ]
    assert not any(r"\%" in line for line in body(table)) and len(body(table)) == 4
    assert {spans(line) for line in (head[0], head[2], *body(table))} == {10}
    assert r"{\scriptsize $\pm0.05$}" in text


def test_the_best_is_bold_as_it_is_printed():
    up, down, none = Heading("A", "a", True), Heading("B", "b", False), Heading("C", "c")
    cells = [(1.001, 1.0, 1.0), (1.004, 2.0, 1.0), (None, 3.0, 1.0)]
    table = Table(("x", up, down, none), tuple((str(i), *(Cell(v) for v in row)) for i, row in enumerate(cells)))
    assert table.best() == {(0, 1), (1, 1), (0, 2)}, "equal as printed: both; a lower one where lower is better"
    assert body(table)[0] == r"0 & \textbf{1.00} & \textbf{1.00} & 1.00 \\"
    assert Table(("x", up), (("a", Cell(1.0)),)).best() == set(), "one figure is not the best of anything"


def test_figures_on_other_data_have_no_best():
    assert score_table([("a", full(0.5)), ("b", full(0.25))]).best()
    other = replace(full(0.25), protocol=ProtocolConfig(name="none", slots=1))
    for second in (replace(full(0.25), n=11), other):
        table = score_table([("a", full(0.5)), ("b", second)])
        assert not table.best() and "not to be compared" in table.caption
    assert not score_table([("a", full(0.5)), ("b", full(0.25))], ranked=False).best()


def test_a_column_of_several_units_has_them_in_the_names_of_the_rows():
    rows = (
        ("BLEU", Cell(1.0, 2, "%", factor=100), Cell(-0.5, 2, signed=True, factor=100)),
        ("NIST", Cell(2.0), Cell(0.1)),
    )
    table = Table(("Figure", "A", "B - A"), rows)
    assert body(table) == [r"BLEU (\%) & 1.00 & $-$0.50 \\", r"NIST & 2.00 & 0.10 \\"]
    assert "\\toprule\n & & B \\\\" not in table.to_latex()


def test_differences_are_in_the_unit_of_their_column():
    column = Heading("BLEU-4", "bleu4")
    table = Table(("x", column), (("a", Cell(2.0, 2, "%", factor=100)), ("d", Cell(-1.0, 2, signed=True, factor=100))))
    assert "BLEU (\\%)" in table.to_latex() and body(table)[1] == r"d & $-$1.00 \\"
    assert table.to_csv() == "x,bleu4\na,0.02\nd,-0.01\n"


def test_a_table_with_a_caption_is_a_float_that_fits():
    table = score_table([(f"model-{i} beam num_beams={i}", full(i / 10)) for i in range(1, 8)], intervals=True)
    text = table.to_latex("tab:mine & yours")
    assert text.index("\\caption{") < text.index("\\label{tab:mine-yours}") < text.index("\\begin{tabular}{p{")
    assert "\\begin{table*}[t]" in text and "pt wide" not in text
    narrow = Table(table.headings[:3], tuple(row[:3] for row in table.rows), caption="50% & more").to_latex()
    assert "\\begin{table}[t]" in narrow and "\\caption{50\\% \\& more}" in narrow
    wide = Table(table.headings * 3, tuple(row * 3 for row in table.rows), caption="x").to_latex()
    assert "the text of an article is 345 pt: choose fewer columns" in wide


def test_the_standard_deviation_over_seeds_in_every_format():
    cell = FIGURES["bleu4"].mean_cell(0.0212, 0.003)
    table = Table(("x", FIGURES["bleu4"].column), (("a", cell), ("b", FIGURES["bleu4"].cell(0.01, (0.005, 0.015)))))
    assert "2.12% (sd 0.30)" in table.to_markdown() and "(sd 0.30)" in table.to_html()
    assert table.to_csv() == "x,bleu4,bleu4_low,bleu4_high,bleu4_sd\na,0.0212,,,0.003\nb,0.01,0.005,0.015,\n"
    assert r"{\scriptsize sd 0.30}" in table.to_latex()


def document(tables: list[str]) -> str:
    return (
        "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n"
        + "\n".join(tables)
        + "\\end{document}\n"
    )


def test_tex_typesets_it_within_the_page(tmp_path):
    program = shutil.which("pdflatex") or shutil.which("tectonic")
    if program is None:
        pytest.skip("NOT CHECKED by TeX: neither pdflatex nor tectonic is on the path")
    hostile = 'a|b & <i>c</i> {d}_e #f $g 50% ~h ^i \\j [k](l) "m"'
    table = score_table([(hostile, full(0.5)), ("[x]", full(0.123)), ("model beam", full(0.2))], intervals=True)
    bold = Table(("Question", "A"), (("how?", Strong("1 (50%)")),))
    (tmp_path / "t.tex").write_text(document([table.to_latex(), bold.to_latex()]), "utf-8")
    further = ["-interaction=nonstopmode", "-halt-on-error"] if program.endswith("pdflatex") else []
    done = subprocess.run([program, *further, "t.tex"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout + done.stderr


def test_widths_are_about_those_of_tex():
    """The widths of boxes that pdfTeX made of these texts in \\small."""
    measured = {"tiny beam": 40.9, "28.04": 21.1, "METEOR (%)": 59.7, "toy-large beam num_beams=10": 126.5}
    for text, points in measured.items():
        assert latex._points(text) == pytest.approx(points, rel=0.1), text
