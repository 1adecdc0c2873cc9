"""The page of runs in a real browser: Debian's Chromium, without a window, driven by playwright."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from support.report_runs import examples, replies, write_run

from dialoeval.reports import write_html
from dialoeval.reports.compare import ComparisonSettings, compare
from dialoeval.reports.html import write_comparison
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.reader import load_run

pytestmark = pytest.mark.browser

HOSTILE = '<script>alert(1)</script><img src=x onerror="window.owned=1">'


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("browser")
    data = examples(45, references=5)
    for width in (1, 5):
        write_run(path, data, replies(data, width, 0.2 + width / 10), name=f"beam{width}",
                  decoding={"name": "beam", "strategy": "beam", "num_beams": width})  # fmt: skip
    said = replies(data, 9, 0.3)
    said[:4] = [HOSTILE, "a needle (in) a haystack", "", "lone \ud800 \u2028 </script><!--"]
    write_run(
        path, data, said, name="hostile", model="<img src=x onerror=window.owned=1>", finish=["length"] + ["stop"] * 44
    )
    runs = [path / name for name in ("beam1", "beam5", "hostile")]
    write_html(runs, path / "report.html", HOSTILE)
    loaded = [load_run(RunFolder(run)) for run in runs]
    settings = ComparisonSettings(resamples=20, trials=20)
    write_comparison(compare(loaded, settings), settings, path / "comparison.html")
    return path


@pytest.fixture
def page(browser, folder):
    """The report, freshly opened; afterwards: no error in the console, no request beyond the page itself."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    opened, problems = context.new_page(), []
    opened.on("console", lambda message: message.type in ("error", "warning") and problems.append(message.text))
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("dialog", lambda dialog: (problems.append("a dialog"), dialog.dismiss()))
    opened.on("request", lambda request: request.url.startswith("http") and problems.append(request.url))
    opened.goto((folder / "report.html").as_uri())
    yield opened
    assert problems == []
    assert opened.evaluate("window.owned") is None
    context.close()


def count(page):
    return page.inner_text("#count")


def search(page, text):
    page.fill("#search", text)
    page.wait_for_timeout(400)


def test_model_output_stays_text(page):
    search(page, "alert(1)")
    assert count(page) == "1 of 45 examples"
    assert HOSTILE in page.inner_text("#list")
    assert page.inner_text("h1") == HOSTILE
    assert page.locator("#list script, #list img, h1 img, table img").count() == 0
    search(page, "</script><!--")
    assert "</script><!--" in page.inner_text("#list")


def test_search_marks_what_it_finds_and_knows_where_to_look(page):
    search(page, "NEEDLE (in)")
    assert count(page) == "1 of 45 examples" and page.inner_text("#list mark") == "needle (in)"
    page.select_option("#where", "context")
    assert count(page) == "0 of 45 examples"
    page.select_option("#where", "replies")
    assert count(page) == "1 of 45 examples"
    page.uncheck("#runs label:nth-of-type(3) input")
    assert count(page) == "0 of 45 examples"


def test_filters(page):
    page.select_option("#filter", "empty")
    assert count(page) == "1 of 45 examples" and "(empty reply)" in page.inner_text("#list")
    page.select_option("#filter", "cut")
    assert count(page) == "1 of 45 examples" and "cut at the limit" in page.inner_text("#list")
    page.select_option("#filter", "all")
    assert count(page) == "45 of 45 examples"


def test_replies_are_sorted_by_a_score_of_a_run_and_by_the_difference_of_two(page):
    def shown():
        cells = page.locator("#list .example").all()
        return [
            [float(row.locator("td[data-label=NIST-5]").inner_text()) for row in cell.locator("tbody tr").all()[:2]]
            for cell in cells
        ]

    page.select_option("#sort", label="NIST-5")
    first = [pair[0] for pair in shown()]
    assert first == sorted(first, reverse=True) and len(set(first)) > 5
    page.select_option("#direction", "up")
    first = [pair[0] for pair in shown()]
    assert first == sorted(first)
    page.select_option("#minus", label="toy beam num_beams=5")
    gaps = [a - b for a, b in shown()]
    assert all(x <= y + 0.011 for x, y in itertools.pairwise(gaps))


def test_pages_turn(page):
    assert page.locator("#list .example").count() == 20 and page.is_disabled(".pager .previous >> nth=0")
    page.click(".pager .next >> nth=0")
    page.click(".pager .next >> nth=1")
    assert page.locator("#list .example").count() == 5 and page.input_value(".pager .page") == "3"
    assert page.is_disabled(".pager .next >> nth=0")
    page.fill(".pager .page", "1")
    page.press(".pager .page", "Enter")
    assert page.inner_text("#list .example >> nth=0").startswith("d0000")


def test_scores_are_sorted_by_keyboard(page):
    def column():
        return [
            float(cell.get_attribute("data-value"))
            for cell in page.locator("#scores .sortable tbody tr td:nth-child(3)").all()
        ]

    button = page.locator("#scores .sortable thead th:nth-child(3) button")
    button.focus()
    page.keyboard.press("Enter")
    assert column() == sorted(column(), reverse=True)
    page.keyboard.press("Enter")
    assert column() == sorted(column())
    assert page.get_attribute("#scores .sortable thead th:nth-child(3)", "aria-sort") == "ascending"
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"


def test_theme_follows_the_system_and_can_be_switched(page):
    def background():
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    light = background()
    page.click("#theme")
    dark = background()
    assert dark != light and page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.reload()
    assert background() == dark
    page.click("#theme")
    page.emulate_media(color_scheme="dark")
    assert background() == light
    page.evaluate("delete document.documentElement.dataset.theme")
    assert background() == dark


def test_tables_are_copied(page):
    page.evaluate(
        """() => { window.copied = []; navigator.clipboard.writeText = async text => { window.copied.push(text); }; }"""
    )
    for button in page.locator("#scores .copy").all():
        button.click()
    markdown, latex, table = page.evaluate("window.copied")
    assert markdown.startswith("| System") and "\\begin{tabular}" in latex and table.startswith("system,nist2")
    assert page.inner_text("#scores .copied") == "copied"


def test_a_phone_shows_it_without_scrolling_sideways(page):
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = page.locator("#list .answers .text >> nth=1").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390


def test_comparison_opens_too(page, folder):
    page.goto((folder / "comparison.html").as_uri())
    assert page.locator("#comparison article").count() == 2
    page.click("#comparison summary >> nth=2")
    assert page.locator("#comparison .example").first.is_visible()
    assert page.locator("#comparison img").count() == 0
