"""The board's page in a real browser: sort, filter, group, columns, and the view in the address."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.report_runs import examples, replies, write_run

from dialoeval.cli.main import main

pytestmark = pytest.mark.browser

HOSTILE = '<img src=x onerror="window.owned=1">'


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two models with two beams and two seeds each, one run on other data, one failed."""
    path = tmp_path_factory.mktemp("board")
    reports, data, other = path / "reports", examples(25), examples(12, seed=3)
    for k, model in enumerate(("toy", HOSTILE)):
        for beams in (5, 10):
            write_run(reports, data, replies(data, beams + k, 0.3 + beams / 20 + k / 10), name=f"m{k}-beam{beams}",
                      model=model, decoding={"name": "beam", "num_beams": beams}, resamples=20,
                      extra=("self_bleu",), identity={"k": [k, beams]})  # fmt: skip
        for seed in (1, 2):
            write_run(reports, data, replies(data, seed + k, 0.2), name=f"m{k}-topk-{seed}", model=model,
                      decoding={"name": "topk", "top_k": 10}, resamples=20,
                      identity={"k": k, "seed": seed})  # fmt: skip
    write_run(reports, other, replies(other, 1), name="other", dataset={"name": "other"}, resamples=0)
    write_run(reports, other, replies(other, 1), name="broken", status="failed", resamples=0)
    assert main(["board", str(reports), "--out", str(path / "board.html")]) == 0
    assert main(["board", str(reports), "--filter", "run=m0-beam5", "--out", str(path / "one.html")]) == 0
    return path


@pytest.fixture
def page(browser, folder):
    """The board, freshly opened; afterwards: no error in the console, no request beyond the page itself."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    opened, problems = context.new_page(), []
    opened.on("console", lambda message: message.type in ("error", "warning") and problems.append(message.text))
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("request", lambda request: request.url.startswith("http") and problems.append(request.url))
    opened.goto((folder / "board.html").as_uri())
    yield opened
    assert problems == []
    assert opened.evaluate("window.owned") is None
    context.close()


def rows(page, section: int = 0) -> list[str]:
    """The names of the rows shown in a section, those of groups with a mark."""
    return page.evaluate(
        """i => [...document.querySelectorAll('section.ranked')[i].querySelectorAll('tbody tr')]
        .filter(row => !row.hidden).map(row => (row.className === 'group' ? '# ' : '') + row.cells[0].textContent)""",
        section,
    )


def column(page, heading: str) -> list[float | None]:
    return page.evaluate(
        """heading => { const table = document.querySelector('section.ranked table');
        const i = [...table.tHead.rows[0].cells].findIndex(cell => cell.textContent === heading);
        return [...table.tBodies[0].rows].filter(row => !row.hidden && row.className !== 'group')
        .map(row => row.cells[i].dataset.value === undefined ? null : Number(row.cells[i].dataset.value)); }""",
        heading,
    )


def choose(page, key: str, value: str) -> None:
    page.select_option(f'select.filter[data-key="{key}"]', f"={value}" if value else "")


def test_headings_sort_by_keyboard_the_best_first(page):
    before = rows(page)
    page.locator("section.ranked >> nth=0").locator("thead button", has_text="BLEU-4").focus()
    page.keyboard.press("Enter")
    assert column(page, "BLEU-4") == sorted(column(page, "BLEU-4"), reverse=True)
    page.keyboard.press("Enter")
    assert column(page, "BLEU-4") == sorted(column(page, "BLEU-4"))
    assert page.get_attribute("section.ranked th[aria-sort]", "aria-sort") == "ascending"
    page.locator("section.ranked >> nth=0").locator("thead button", has_text="Self-BLEU").click()
    found = column(page, "Self-BLEU")
    assert found[-2:] == [None, None] and found[:-2] == sorted(found[:-2]), "lower is better; missing ones last"
    page.click("#reset")
    assert rows(page) == before


def test_filters_and_search(page):
    assert page.inner_text("#count") == "7 of 7 rows"
    choose(page, "model", "toy")
    choose(page, "decoding.num_beams", "10")
    assert rows(page) == ["toy beam num_beams=10"] and page.inner_text("#count") == "1 of 7 rows"
    assert not page.locator("section.ranked >> nth=1").is_visible(), "a table without rows is not shown"
    page.click("#reset")
    page.fill("#search", "TOPK m0")
    assert rows(page) == ["toy topk"], "words of the name and of the runs' folders"
    page.fill("#search", "nothing like it")
    assert page.inner_text("#count") == "0 of 7 rows"


def test_groups_and_what_is_best_follow_the_rows_shown(page):
    best = "document.querySelector('section.ranked').querySelectorAll('td.best').length"
    page.select_option("#group", "decoding")
    assert [name for name in rows(page) if name.startswith("# ")] == ["# beam", "# topk"]
    page.select_option("#group", "model")
    assert sorted(name for name in rows(page) if name.startswith("# ")) == sorted([f"# {HOSTILE}", "# toy"])
    assert page.evaluate(best) > 0
    choose(page, "decoding", "topk")
    shown = column(page, "BLEU-4")
    marked = page.evaluate(
        """[...document.querySelector('section.ranked').querySelectorAll('tr:not([hidden]) td.best')]
        .map(cell => Number(cell.dataset.value))"""
    )
    assert max(shown) in marked and min(shown) not in marked
    choose(page, "model", "toy")
    assert page.evaluate(best) == 0, "one row is not the best of anything"


def test_columns_are_hidden_and_shown(page):
    head = page.locator("section.ranked >> nth=0").locator("thead th", has_text="METEOR")
    assert head.is_visible()
    page.locator("#columns label", has_text="METEOR").locator("input").uncheck()
    assert not head.is_visible() and page.locator("thead th", has_text="BLEU-4").first.is_visible()
    page.click("#reset")
    assert head.is_visible()


def test_the_view_is_in_the_address(page):
    choose(page, "decoding", "beam")
    page.select_option("#group", "model")
    page.locator("thead button", has_text="Dist-1").first.click()
    page.locator("#columns label", has_text="METEOR").locator("input").uncheck()
    address, shown = page.url, rows(page)
    page.goto("about:blank")
    page.goto(address)
    assert rows(page) == shown and page.input_value("#group") == "model"
    assert not page.locator("thead th", has_text="METEOR").first.is_visible()
    for wrong in ("#sort=99:up", "#group=nothing&decoding=nothing", "#hide=,,x&sort=", "#%E0%A4%A"):
        page.goto("about:blank")
        page.goto(address.partition("#")[0] + wrong)
        assert page.inner_text("#count") == "7 of 7 rows"


def test_what_is_not_ranked_is_said(page):
    text = page.inner_text("main")
    assert "1 failed: broken" in text and "2 tables: figures on other data" in text
    assert page.locator("main img").count() == 0 and HOSTILE in page.inner_text("section.ranked >> nth=0")
    page.locator("summary", has_text="Runs of each row").click()
    assert "seeds 2 (1, 2)" in page.inner_text("dl")


@pytest.mark.parametrize("name", ["board", "one"])
def test_a_phone_shows_it_without_scrolling_sideways(page, folder, name):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto((folder / f"{name}.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
