"""How the page looks and explains itself, in a real browser: labels, contrast, explanations, keyboard and touch."""

from __future__ import annotations

import itertools

import pytest
from support.page_checks import CONTRASTS, OVERLAPS
from support.report_runs import examples, replies, write_run

from dialoeval.metrics.figures import PAPER_TABLE
from dialoeval.reports import write_html
from dialoeval.reports.compare import ComparisonSettings, compare
from dialoeval.reports.html import write_comparison
from dialoeval.reports.reproduce import Line, Row
from dialoeval.reports.reproduce_page import write_reproduction
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.reader import load_run
from dialoeval.tables import Cell

pytestmark = pytest.mark.browser
KINDS = {"one": 1, "three": 3, "thirteen": 13}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("design")
    data = examples(40, references=3)
    paths = []
    for i in range(13):
        decoding = {"name": "topk", "strategy": "sample", "top_k": (0, 5, 10, 20, 40, 80, 1000)[i % 7]}
        model = ("toy", "a-long-model-name-of-somebody/with-a-folder-7b-instruct")[i // 7]
        said = replies(data, i, (0.2 + i / 30) if i != 9 else 0.9)
        paths.append(
            write_run(
                path, data, said, name=f"run{i}", model=model, decoding=decoding, extra=("rouge_l", "sacrebleu_ter")
            )
        )
    for name, count in KINDS.items():
        write_html(paths[:count], path / f"{name}.html")
    loaded = [load_run(RunFolder(paths[i])) for i in (0, 1, 9)]
    settings = ComparisonSettings(resamples=50, trials=1000)
    write_comparison(compare(loaded, settings), settings, path / "comparison.html")
    write_reproduction(path / "reproduce.html", "reddit6k", reproduced(), "a note")
    return path


def reproduced() -> list[Row]:
    """Return three systems: one as published, one with other figures, one that was not measured."""

    def line(label: str, *values: float | None) -> Line:
        return Line(
            label, tuple(Cell(v, f.decimals, f.unit_suffix) for v, f in zip(values, PAPER_TABLE, strict=True)), ""
        )

    paper = line("the paper", 2.5, 2.6, 12.0, 3.1, 8.1, 10.2, 9.0, 40.0, 11.0)
    other = line("measured here", 2.5, 2.7, 13.0, 3.1, None, 10.2, 9.001, 40.0, 300.0)
    missing = line("the paper", 1.0, None, 2.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0)
    return [
        Row("DialoGPT 345M with a name that is far too long for a picture", (paper,), (paper, other)),
        Row("Human", (missing,), (), "its replies are not public"),
        Row("another", (), (other,)),
    ]


@pytest.fixture
def page(browser, folder):
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light", has_touch=True)
    opened = context.new_page()
    opened.goto((folder / "three.html").as_uri())
    yield opened
    context.close()


@pytest.mark.parametrize("kind", [*KINDS, "comparison", "reproduce"])
def test_no_label_meets_another_or_a_bar(page, folder, kind):
    page.goto((folder / f"{kind}.html").as_uri())
    assert page.locator("svg text").count() > 10
    assert page.evaluate(OVERLAPS) == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate(OVERLAPS) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["three", "comparison", "reproduce"])
def test_texts_stand_out(page, folder, kind, theme):
    page.emulate_media(color_scheme=theme)
    page.goto((folder / f"{kind}.html").as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(node => { node.open = true; })")
    assert page.evaluate(CONTRASTS) == {}


def test_thirteen_runs_differ_in_colour_or_shape(page, folder):
    page.goto((folder / "thirteen.html").as_uri())
    marks = page.evaluate(
        """() => [...document.querySelectorAll("#scores .sortable tbody th")].map(node => {
          const style = getComputedStyle(node, "::before"); return style.backgroundColor + style.clipPath; })"""
    )
    assert len(marks) == 13 == len(set(marks))
    assert page.locator("#runs label").count() == 13


def test_a_heading_explains_itself_under_the_pointer(page):
    page.hover("#scores .sortable thead th:nth-child(5)")
    page.wait_for_timeout(500)
    text = page.inner_text("#about")
    assert "BLEU-4 ↑" in text and "Papineni" in text and "Higher is better" in text and "|version:dialoeval" in text
    page.mouse.move(5, 5)
    page.wait_for_timeout(200)
    assert not page.is_visible("#about")


def test_a_tap_or_the_keyboard_keeps_the_explanation(page):
    signs = page.locator("#scores .sortable a.about")
    signs.nth(1).tap()
    assert page.is_visible("#about") and "NIST-4" in page.inner_text("#about")
    signs.nth(1).tap()
    assert not page.is_visible("#about")
    signs.nth(5).focus()
    page.keyboard.press("Enter")
    assert "Entropy-4" in page.inner_text("#about")
    box = page.locator("#about").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 1280
    page.keyboard.press("Escape")
    assert not page.is_visible("#about")


def test_explanations_are_there_without_a_script(browser, folder):
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto((folder / "three.html").as_uri())
    opened.click("#scores .glossary summary")
    assert "Doddington" in opened.inner_text("#scores .glossary")
    context.close()


def test_differences_told_apart_stand_first_and_are_set_off(page, folder):
    page.goto((folder / "comparison.html").as_uri())
    forest = page.locator("#comparison .forest").nth(1)
    labels = forest.locator("svg text").all_text_contents()
    real, other = labels.index("Told apart from chance"), labels.index("Not told apart from chance")
    rows = page.locator("#comparison article").nth(1).locator("table.figures").first.locator("tbody tr").all()
    told = [
        row.locator("th").inner_text()
        for row in rows
        if float(row.locator("td").nth(4).inner_text().strip("<")) <= 0.05
    ]
    shown = [label.removesuffix(" ↓") for label in labels[real + 1 : other][::2]]
    assert shown == told and len(told) >= 3
    assert forest.locator(".dot.hollow").count() == len(rows) - len(told)


def test_all_runs_stand_beside_each_other_in_each_figure(page, folder):
    page.goto((folder / "comparison.html").as_uri())
    page.click("#comparison .overview summary")
    pictures = page.locator("#comparison .overview figure")
    assert pictures.count() == 10 and page.evaluate(OVERLAPS) == []
    values = pictures.filter(has_text="BLEU-2").locator(".dot title").all_text_contents()
    table = page.locator("#comparison article table.figures tr", has_text="BLEU-2")
    printed = [row.locator("td").nth(2).inner_text() for row in table.all() if row.locator("td").count() == 6]
    assert len(values) == 2 and sorted(v.split(": ")[-1].split(",")[0] for v in values) == sorted(printed)


def test_swept_values_stand_in_order_with_off_last(page, folder):
    page.goto((folder / "thirteen.html").as_uri())
    panel = page.locator("#plots figure", has_text="NIST-4 by top k")
    boxes = [(node.bounding_box()["x"], node.text_content()) for node in panel.locator("svg text").all()]
    shown = [text for _, text in sorted(boxes) if text in ("5", "10", "20", "40", "80", "1000", "off")]
    assert shown[-1] == "off" and shown[:-1] == sorted(shown[:-1], key=int) and len(shown) >= 4


def test_reproduction_sets_ours_beside_the_papers_and_colours_differences(page, folder):
    page.goto((folder / "reproduce.html").as_uri())
    figure = page.locator("figure", has_text="BLEU-2")
    wide = [node.bounding_box()["width"] for node in figure.locator("rect").all()]
    assert wide[0] == pytest.approx(wide[1], abs=1) and wide[2] / wide[0] == pytest.approx(13 / 12, rel=0.01)
    assert page.locator("figure", has_text="METEOR").locator("rect").count() == 2  # what we lack has no bar
    rows = page.locator("tr.difference")
    kinds = [[cell.get_attribute("class") for cell in rows.nth(i).locator("td").all()] for i in (0, 1)]
    assert all("same" in kind for kind in kinds[0])
    found = ["other" in kind for kind in kinds[1]]
    assert found == [False, True, True, False, False, False, False, False, True]
    small, large = (
        page.locator(f"tr.{kind} td").first.bounding_box()["height"] for kind in ("difference", "published")
    )
    assert small < large


def test_settings_that_differ_stand_first_and_their_names_stay_in_sight(page, folder):
    page.goto((folder / "thirteen.html").as_uri())
    page.set_viewport_size({"width": 390, "height": 844})
    table = page.locator("#settings .differing table").first
    assert table.is_visible() and page.locator("#settings table:visible").count() == 1
    name = table.locator("tbody th").first
    before = name.bounding_box()["x"]
    page.evaluate("document.querySelector('#settings .differing .scroll').scrollLeft = 600")
    assert name.bounding_box()["x"] == pytest.approx(before, abs=1)
    assert table.locator("tbody td").first.bounding_box()["x"] < before


def test_paper_of_other_data_is_folded(page):
    folded = page.locator("#scores details", has_text="The paper:")
    assert not folded.locator("table").is_visible()
    folded.locator("summary").click()
    assert folded.locator("table").is_visible()


def test_every_control_is_reached_by_the_keyboard(page):
    names = page.evaluate(
        """() => [...document.querySelectorAll("button, a, input, select, summary, [tabindex]")]
          .filter(node => node.tabIndex < 0).map(node => node.outerHTML)"""
    )
    assert names == []
    pairs = itertools.pairwise(page.locator("h2").all_inner_texts())
    assert all(a != b for a, b in pairs)
