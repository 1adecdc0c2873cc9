"""The report in a real browser: it opens, searches, sorts, filters, and runs nothing that a model wrote."""

from __future__ import annotations

import pytest
from support.report_runs import examples, replies, write_run

from dialoeval.reports import write_html

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    data = examples(60, references=3)
    said = replies(data, 2)
    said[0] = "<script>document.title = 'broken into'</script><img src=x onerror=alert(1)> needle"
    said[1] = ""
    runs = [
        write_run(folder, data, replies(data, 1), name="one"),
        write_run(folder, data, said, name="two", model="<b>bold</b>", decoding={"name": "other", "max_new_tokens": 9}),
    ]
    write_html(runs, folder / "report.html", "Two runs")
    return folder / "report.html"


@pytest.fixture
def page(browser, report):
    opened = browser.new_page(viewport={"width": 1200, "height": 900})
    opened.complaints = []
    opened.on("console", lambda message: opened.complaints.append(message.text))
    opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.on("dialog", lambda dialog: (opened.complaints.append(dialog.message), dialog.dismiss()))
    opened.on("request", lambda request: request.url.startswith("file:") or opened.complaints.append(request.url))
    opened.goto(report.as_uri())
    yield opened
    assert opened.complaints == []
    opened.close()


def test_opens_and_shows_all_examples(page):
    assert "Two runs" in page.title()
    assert "60" in page.inner_text("#count")
    assert page.locator("#scores table").count() >= 1 and page.locator("#plots svg").count() >= 3


def test_search_finds_replies_and_markup_stays_text(page):
    page.fill("#search", "needle")
    page.wait_for_timeout(600)  # typing is awaited; the page's own policy forbids the usual waits, which evaluate text
    text = page.inner_text("#list")
    assert "<script>document.title = 'broken into'</script><img src=x onerror=alert(1)> needle" in text
    assert page.locator("#list script, #list img").count() == 0 and "broken" not in page.title()
    assert "<b>bold</b>" in page.inner_text("#scores")


def test_filters_and_sorts(page):
    before = page.inner_text("#count")
    values = page.eval_on_selector_all("#filter option", "options => options.map(o => o.value)")
    page.select_option("#filter", next(value for value in values if "empty" in value))
    page.wait_for_timeout(300)
    assert page.inner_text("#count") != before
    page.select_option("#filter", "all")
    first = page.inner_text("#list")
    orders = page.eval_on_selector_all("#sort option", "options => options.map(o => o.value)")
    page.select_option("#sort", orders[-1])
    page.wait_for_timeout(200)
    page.select_option("#direction", "up")
    page.wait_for_timeout(200)
    assert page.inner_text("#list") != first


def test_light_and_dark(page):
    def colour():
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    light = colour()
    page.click("#theme")
    assert colour() != light


def test_fits_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
