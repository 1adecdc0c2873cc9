"""Tables in every format, plots, and the page of runs as text (a real browser opens it in test_browser.py)."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.report_runs import examples, replies, write_run

from dialoeval.cli.main import main
from dialoeval.config import ProtocolConfig
from dialoeval.errors import UserError
from dialoeval.metrics.figures import PAPER_TABLE
from dialoeval.metrics.registry import figure
from dialoeval.metrics.score_tables import score_table
from dialoeval.metrics.scores import Scores
from dialoeval.reports import write_html
from dialoeval.reports.plots import shortened, ticks
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.reader import load_run, short_names
from dialoeval.tables import Cell, Table

RELEVANCE = {
    **dict(zip(("nist1", "nist2", "nist3", "nist4"), (1.0, 2.123, 2.5, 2.8449), strict=True)),
    **dict(zip(("bleu1", "bleu2", "bleu3", "bleu4"), (0.4, 0.1234, 0.05, 0.0212), strict=True)),
}
DIVERSITY = {
    **dict(zip(("entropy1", "entropy2", "entropy3", "entropy4"), (1.0, 2.0, 3.0, 9.1), strict=True)),
    "distinct1": 0.0912,
    "distinct2": 0.3,
    "avg_len": 11.26,
}
SCORES = Scores(
    n=10,
    figures=RELEVANCE | DIVERSITY,
    intervals={"nist4": (2.79, 2.89), "bleu4": (0.02, 0.024)},
    signatures={"nist": "s"},
    protocol=ProtocolConfig(name="none"),
    counts={},
    resamples=0,
)
HOSTILE = 'a|b & <i>c</i> {d}_e #f $g 50% ~h ^i \\j [k](l) "m" \n n'


def test_paper_columns_are_the_papers_in_its_units():
    table = score_table([("x", SCORES)])
    assert table.headings == (
        "System", "NIST-2", "NIST-4", "BLEU-2", "BLEU-4", "METEOR", "Entropy-4", "Dist-1", "Dist-2", "Avg Len",
    )  # fmt: skip
    figures = [str(cell) for cell in table.rows[0]]
    assert figures == ["x", "2.12", "2.84", "12.34%", "2.12%", "–", "9.10", "9.12%", "30.00%", "11.3"]
    assert table.notes == ("– METEOR: not computed (scoring.meteor=false)",)


def test_columns_of_other_figures():
    assert [figure(name).heading for name in ("nist5", "bleu1", "entropy2", "distinct1")] == [
        "NIST-5", "BLEU-1", "Entropy-2", "Dist-1",
    ]  # fmt: skip


def test_missing_references_are_said():
    nothing = replace(SCORES, figures=DIVERSITY, intervals={})
    assert "no reply has a reference" in score_table([("x", nothing)]).notes[0]


def test_intervals_are_half_widths_and_bounds_in_csv():
    table = score_table([("x", SCORES), ("y", replace(SCORES, intervals={}))], intervals=True)
    assert "2.84 ±0.05" in table.to_markdown()
    first, second = csv.DictReader(io.StringIO(table.to_csv()))
    assert (first["nist4"], first["nist4_low"], first["nist4_high"]) == ("2.8449", "2.79", "2.89")
    assert (first["bleu4"], first["bleu4_low"]) == ("0.0212", "0.02"), "a fraction, as in JSON"
    assert (first["meteor"], second["nist4_low"]) == ("", "")


def test_skewed_intervals_are_shown_by_their_bounds():
    even, skewed = Cell(2.0, 2, "%", 1.0, 3.2), Cell(0.22, 2, "%", 0.17, 0.33)
    assert (str(even), str(skewed)) == ("2.00% ±1.10", "0.22% [0.17, 0.33]")
    assert str(Cell(0.02, 1, "", 0.01, 0.06)) == "0.0 ±0.0"  # rounding hides it
    table = Table(("System", "BLEU-4"), (("x", skewed),))
    assert "0.22% [0.17, 0.33]" in table.to_markdown() and "[0.17, 0.33]" in table.to_html()
    assert "x & 0.22 \\\\[-2pt]\n & {\\scriptsize $^{+0.11}_{-0.05}$} \\\\" in table.to_latex()
    assert table.to_csv().splitlines()[0] == "system,bleu_4,bleu_4_low,bleu_4_high"


def test_a_sign_before_a_number_is_left_readable():
    assert "| <0.001 |" in Table(("x", "p"), (("a", "<0.001"),)).to_markdown()
    assert "&lt;i>" in Table(("x", "p"), (("a", "<i>"),), ("a <b> remark",)).to_markdown()


def test_markdown_keeps_its_columns_whatever_the_name():
    lines = Table(("System", "A"), ((HOSTILE, "1"),)).to_markdown().splitlines()
    assert len(lines) == 3
    for line in lines:
        assert len(re.findall(r"(?<!\\)\|", line)) == 3
    assert "&lt;i>" in lines[2] and "[k\\](l)" in lines[2]


def test_markdown_leaves_snake_case_and_plain_ampersands_readable():
    text = Table(("System",), (("a_b _c_ x & y &lt;",),)).to_markdown()
    assert "a_b \\_c\\_ x & y &amp;lt;" in text


def test_markdown_tables_render_in_a_parser_of_others():
    markdown_it = pytest.importorskip("markdown_it")
    page = (
        markdown_it.MarkdownIt("commonmark")
        .enable("table")
        .render(Table(("System", "A"), ((HOSTILE, "1"), ("_x_ `y` *z*", "2"))).to_markdown())
    )
    root = ElementTree.fromstring(f"<div>{page}</div>")
    cells = ["".join(cell.itertext()) for cell in root.iter("td")]
    assert cells == [" ".join(HOSTILE.split()), "1", "_x_ `y` *z*", "2"]


def test_latex_escapes_what_tex_reads_otherwise():
    text = Table(("System", "A"), ((HOSTILE, "1"), ("[x]", Cell(1.0, 1, "%", 0.5, 1.5)))).to_latex()
    body = text.split("\\midrule\n")[1]
    assert body.startswith(
        r"a\textbar{}b \& \textless{}i\textgreater{}c\textless{}/i\textgreater{} \{d\}\_e \#f \$g 50\% "
        r"\textasciitilde{}h \textasciicircum{}i \textbackslash{}j {[}k](l)"
    )
    # a bracket after \\ would be its argument
    assert "\n{[}x] & 1.0 \\\\[-2pt]\n & {\\scriptsize $\\pm0.5$} \\\\\n" in body
    assert text.startswith("\\begin{tabular}{lr}\n\\toprule")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=3))
def test_csv_and_html_give_back_any_text(rows):
    table = Table(("a", "b"), tuple(rows))
    if not any("\r" in cell or "\0" in cell for row in rows for cell in row):
        back = list(csv.reader(io.StringIO(table.to_csv(), newline="")))
        assert [tuple(row) for row in back[1:] if row] == [row for row in rows if row != ("",)]

    class Cells(HTMLParser):
        seen: list[str]
        tags: set[str]

        def handle_starttag(self, tag, attributes):
            self.tags.add(tag)
            if tag in ("td", "th"):
                self.seen.append("")

        def handle_data(self, data):
            self.seen[-1:] = [self.seen[-1] + data] if self.seen else []

    parser = Cells()
    parser.seen, parser.tags = [], set()
    parser.feed(table.to_html())
    assert parser.tags <= {"table", "thead", "tbody", "tr", "th", "td"}
    if not any(set(cell) & set("\r\0\x0c") for row in rows for cell in row):
        assert [cell.rstrip("\n") for cell in parser.seen[2:]] == [c.rstrip("\n") for row in rows for c in row]


def test_axis_ticks_are_round_and_inside():
    assert ticks(0.0, 1.0) == [0.0, 0.5, 1.0]
    assert ticks(3.9, 5.6) == [4.0, 4.5, 5.0, 5.5]
    assert ticks(2.0, 2.0) == [2.0]
    for low, high in ((-3.0, 17.0), (0.00012, 0.00019), (1e6, 3e6)):
        found = ticks(low, high)
        assert 2 <= len(found) <= 5 and low <= found[0] and found[-1] <= high


def test_long_names_keep_both_ends():
    assert shortened("a" * 20 + "-num_beams=10", 20).endswith("beams=10") and len(shortened("x" * 99, 20)) == 20


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Three beam widths and a run whose replies are hostile; the first has fewer examples than a page of others."""
    folder = tmp_path_factory.mktemp("runs")
    data = examples(30, references=4)
    paths = [
        write_run(folder, data, replies(data, width, 0.2 + width / 20), name=f"beam{width}",
                  decoding={"name": "beam", "strategy": "beam", "num_beams": width})
        for width in (1, 5, 10)
    ]  # fmt: skip
    said = replies(data, 9)
    said[:4] = ["<script>alert(1)</script>", "</script><!-- x", "lone \ud800 one \u2028 two", ""]
    paths.append(
        write_run(folder, data, said, name="hostile", model="<b>m</b>&_x", decoding={"name": "nucleus", "top_p": 0.9},
                  finish=["length", *["stop"] * 29])
    )  # fmt: skip
    return paths


@pytest.fixture(scope="module")
def page(sweep, tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "report.html"
    write_html(sweep, out, "A <title>")
    return out


def test_page_loads_nothing_from_anywhere(page):
    text = page.read_text("utf-8")
    assert not re.findall(r"""(?:src|href|action)\s*=\s*["'](?!#|data:,)""", text)
    assert "url(" not in text and "@import" not in text and "fetch(" not in text
    assert "default-src 'none'" in text


def test_page_holds_all_replies_as_data_that_cannot_end_its_script(page, sweep):
    text = page.read_text("utf-8")
    island = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1]
    assert "<" not in island and "\u2028" not in island
    data = json.loads(island)
    assert len(data["examples"]) == 30 and len(data["replies"]) == 4
    assert data["replies"][3][0][0] == "<script>alert(1)</script>" and data["replies"][3][0][1] == 1
    assert data["replies"][3][2][0] == "lone \ud800 one \u2028 two"
    assert "<script>alert(1)" not in text and "<b>m</b>" not in text and "A &lt;title&gt;" in text
    segment = json.loads((sweep[0] / "segments.jsonl").read_text().splitlines()[7])
    assert [heading for heading, _ in data["scores"]] == ["METEOR", "NIST-5", "BLEU-4"]
    scores = [None, round(segment["nist"], 4), round(segment["bleu"], 4)]
    assert data["replies"][0][7][2:] == [segment["length"], *scores]


def test_page_shows_knob_plots_intervals_settings_and_the_papers_rows(page):
    text = page.read_text("utf-8")
    assert "NIST-4 by num beams" in text and "Relevance and diversity" in text and "Reply length" in text
    assert "DialoGPT 345M beam" in text and "on other data than the runs above" in text
    assert "decoding.num_beams" in text and "±" in text
    assert "toy beam num_beams=10" in text
    for svg in re.findall(r"<svg.*?</svg>", text, re.S):
        ElementTree.fromstring(svg)


def test_tables_are_written_beside_the_page(page):
    assert page.with_suffix(".md").read_text("utf-8").startswith("| System")
    rows = list(csv.DictReader(io.StringIO(page.with_suffix(".csv").read_text("utf-8"))))
    assert [row["system"] for row in rows][-1] == "<b>m</b>&_x nucleus" and "nist4_low" in rows[0]
    assert "\\textless{}b\\textgreater{}" in page.with_suffix(".tex").read_text("utf-8")


def test_page_of_one_run_without_references(tmp_path):
    data = examples(5, references=0)
    path = write_run(tmp_path, data, ["yes"] * 5)
    write_html([path], tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text("utf-8")
    assert "no reply has a reference" in text and "Relevance and diversity" not in text


def test_page_says_warnings_of_each_run_escaped(tmp_path):
    data = examples(5)
    same = write_run(tmp_path, data, ["<b>yes</b> & no"] * 5, name="same", decoding={"name": "greedy"})
    other = write_run(tmp_path, data, replies(data, 1), name="other", decoding={"name": "topk", "top_k": 10})
    write_html([same, other], tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text("utf-8")
    said = "<b>toy greedy</b>: all 5 replies are equal, &#39;&lt;b&gt;yes&lt;/b&gt; &amp; no&#39;"
    assert text.count("replies are equal") == 1 and said in text
    write_html([other], tmp_path / "r.html")
    assert "replies are equal" not in (tmp_path / "r.html").read_text("utf-8")


def test_runs_on_different_data_are_said_to_be_and_kept_apart(tmp_path):
    first, second = examples(4, seed=1), examples(4, seed=2)
    paths = [write_run(tmp_path, d, replies(d, 1), name=n) for d, n in ((first, "a"), (second, "b"))]
    write_html(paths, tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text("utf-8")
    island = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])
    assert len(island["examples"]) == 8 and island["replies"][0][4:] == [None] * 4
    assert island["examples"][5][1] == list(second[1].context)
    assert "These runs are on different data" in text


def test_the_papers_rows_are_the_same_data_only_with_its_set_and_protocol(tmp_path):
    from dialoeval.config import ProtocolConfig

    data = examples(4)
    path = write_run(tmp_path, data, replies(data, 1), dataset={"name": "reddit6k", "kind": "reddit6k"},
                     protocol=ProtocolConfig(name="reddit6k"))  # fmt: skip
    write_html([path], tmp_path / "r.html")
    assert "for the test set and protocol of the runs above" in (tmp_path / "r.html").read_text("utf-8")


def test_names_tell_runs_apart(tmp_path):
    data = examples(4)
    make = [
        ("a", {"num_beams": 2, "name": "beam"}), ("b", {"num_beams": 4, "name": "beam"}), ("c", {}), ("d", {}),
    ]  # fmt: skip
    runs = [load_run(RunFolder(write_run(tmp_path, data, replies(data, 1), name=n, decoding=d))) for n, d in make]
    names = short_names(runs)
    assert names[:2] == ["toy beam num_beams=2", "toy beam num_beams=4"]
    assert len(set(names)) == 4 and names[2] == "toy greedy c"


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("manifest.json", "{", "manifest.json, line 1: not JSON"),
        ("scores.json", "[]", "scores.json: expected a JSON object"),
        ("segments.jsonl", '{"id": "d0000", "nist": "x"}\n', 'field "nist" must be a number or null'),
        ("segments.jsonl", '{"id": "d0000", "nist"', "segments.jsonl, line 1: not JSON"),
        ("config.yaml", "model: [", "cannot read"),
        ("config.yaml", "model: 1", "no section 'model'"),
        ("environment.json", "{", "environment.json, line 1"),
        ("replies.jsonl", "", "does not match the manifest"),
    ],
)
def test_damaged_files_are_named(tmp_path, file, text, said):
    data = examples(3)
    path = write_run(tmp_path, data, replies(data, 1))
    (path / file).write_text(text)
    with pytest.raises(UserError, match=re.escape(said)):
        write_html([path], tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def test_scores_of_other_replies_are_refused(tmp_path):
    data = examples(3)
    path = write_run(tmp_path, data, replies(data, 1))
    scores = json.loads((path / "scores.json").read_text())
    (path / "scores.json").write_text(json.dumps(scores | {"replies_sha256": "0" * 64}))
    with pytest.raises(UserError, match="computed from other replies"):
        load_run(RunFolder(path))


def test_report_command_takes_sweeps_names_and_paths(sweep, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = sweep[0].parent
    folder = root / "sweeps" / "abc"
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [{"overrides": [], "status": "complete", "run": name, "error": None} for name in ("beam1", "beam5")]
    (folder / "sweep.json").write_text(json.dumps({"schema": 1, "jobs": jobs}))
    assert main(["report", "abc", "beam10", str(root / "beam1"), "--reports-dir", str(root), "--out", "x.html"]) == 0
    island = json.loads(re.search(r'id="data">(.*?)</script>', (tmp_path / "x.html").read_text("utf-8"), re.S)[1])
    assert len(island["runs"]) == 3
    assert main(["report", "beam1", "--reports-dir", str(root), "--out", "x.pdf"]) == 2
    assert "must end in .html" in capsys.readouterr().err
    assert main(["report", "nothing", "--reports-dir", str(root)]) == 2


def test_every_figure_of_the_papers_tables_has_a_column():
    published = json.loads((files("dialoeval") / "assets" / "paper" / "tables.json").read_text("utf-8"))
    names = {column.name for column in PAPER_TABLE}
    assert all(set(row) == names for table in published["tables"].values() for row in table["rows"].values())
