"""The replies of the page in a real browser: ranges, folded texts, links to examples, and the state in the address."""

from __future__ import annotations

import pytest
from support.report_runs import examples, replies, write_run

from dialoeval.data.example import Example
from dialoeval.reports import write_html

pytestmark = pytest.mark.browser
LONG = " ".join(f"word{i}" for i in range(200))


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replies")
    data = examples(43, references=5)
    names = {5: "scores", 6: "example:1", 7: "a b/ü#?&%", 8: "<b>id</b>"}
    data = [Example(names.get(i, e.id), e.context, e.references) for i, e in enumerate(data)]
    said = replies(data, 2, 0.7)
    said[0], said[1], said[2], said[30] = LONG, "short", "x" * 5000, LONG + " needle"
    ends = ["content_filter", "length", *["stop"] * 41]
    runs = [
        write_run(folder, data, replies(data, 1, 0.3), name="one", model="A"),
        write_run(folder, data, said, name="two", model="B", finish=ends, extra=("rouge_l",)),
    ]
    write_html(runs, folder / "report.html", baseline="none")
    return folder / "report.html"


@pytest.fixture
def page(browser, report):
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    opened, problems = context.new_page(), []
    opened.on("console", lambda message: message.type in ("error", "warning") and problems.append(message.text))
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.goto(report.as_uri())
    yield opened
    assert problems == []
    context.close()


def shown(page) -> list[str]:
    return page.locator("#list .example .id a").all_inner_texts()


def total(page) -> int:
    return int(page.inner_text("#count").split()[0])


def wait(page) -> None:
    page.wait_for_timeout(350)  # typing is awaited


def order_by_difference(page) -> None:
    page.select_option("#sort", label="BLEU-4")
    page.select_option("#sortrun", label="B greedy")
    page.select_option("#minus", label="A greedy")


def test_the_order_is_said_in_words_and_beside_each_example(page):
    order_by_difference(page)
    assert page.inner_text("#summary") == "BLEU-4 of B greedy minus A greedy, high to low"
    text = page.locator("#list .example .delta").all_inner_texts()
    values = [float(one.rpartition(": ")[2]) for one in text]
    assert text[0].startswith("BLEU-4 of B greedy minus A greedy: +") and values == sorted(values, reverse=True)


def test_a_range_of_the_value_keeps_what_lies_in_it(page):
    order_by_difference(page)
    everything = total(page)
    page.fill("#low", "0.1")
    wait(page)
    some = total(page)
    assert 0 < some < everything and page.inner_text("#summary").startswith(
        "BLEU-4 of B greedy minus A greedy, at least 0.1"
    )
    values = [float(one.rpartition(": ")[2]) for one in page.locator("#list .delta").all_inner_texts()]
    assert min(values) >= 0.1
    page.fill("#low", "")
    page.fill("#high", "0.0999999")
    wait(page)
    assert total(page) == everything - some
    page.select_option("#sort", "")
    assert total(page) == everything and page.is_disabled("#low")


def test_lengths_and_ends_of_replies(page):
    page.fill("#shortest", "200")
    wait(page)
    assert shown(page) == ["d0000", "d0030"]
    page.select_option("#ended", label="content_filter")
    assert shown(page) == ["d0000"] and "ended: content_filter" in page.inner_text("#list")
    page.fill("#shortest", "")
    page.fill("#longest", "1")
    page.select_option("#ended", label="at the limit (length)")
    wait(page)
    assert shown(page) == ["d0001"]
    assert page.inner_text("#summary") == "a reply of at most 1 words; a reply that ended at the limit (length)"
    page.uncheck("#runs label:nth-of-type(2) input")
    assert total(page) == 0
    page.click("#clear")
    assert total(page) == 43 and page.is_checked("#runs label:nth-of-type(2) input")


def test_a_long_reply_is_folded_until_it_is_asked_for_or_searched(page):
    first = page.locator("#list .example").first
    assert "word199" not in first.inner_text()
    first.get_by_role("button", name="Show all 200 words").click()
    assert "word199" in first.inner_text() and first.get_by_role("button").count() == 0
    assert len(page.locator("#list .example").nth(2).inner_text()) < 4500  # no word ends in it
    page.fill("#search", "needle")
    wait(page)
    assert shown(page) == ["d0030"] and page.inner_text("#list mark") == "needle"


def test_references_stand_between_the_context_and_the_replies(page):
    box = page.locator("#list .example").nth(3)
    turn, reference, reply = (
        box.locator(css).first.bounding_box()["y"] for css in (".turn.last", ".reference", ".answers")
    )
    assert turn < reference < reply
    assert box.locator("p.reference:visible").count() == 3
    box.locator("summary").click()
    assert box.locator("p.reference:visible").count() == 5


def test_the_state_is_in_the_address(page, browser):
    order_by_difference(page)
    page.fill("#low", "-0.5")
    page.fill("#search", "o")
    page.uncheck("#runs label:nth-of-type(1) input")
    wait(page)
    page.click(".pager .next >> nth=0")
    before, address = shown(page), page.url
    assert "#replies:" in address and "page=2" in address
    other = browser.new_page()
    other.goto(address)
    assert shown(other) == before and other.input_value("#low") == "-0.5" and other.input_value("#search") == "o"
    assert not other.is_checked("#runs label:nth-of-type(1) input")
    other.click("#clear")
    assert "#" not in other.url and total(other) == 43
    other.close()


@pytest.mark.parametrize("position", [0, 5, 6, 7, 8, 41])
def test_an_example_has_an_address(page, report, position):
    page.fill(".pager .page", str(position // 20 + 1))
    page.press(".pager .page", "Enter")
    link = page.locator("#list .example .id a").nth(position % 20)
    name, address = link.inner_text(), link.get_attribute("href")
    page.goto("about:blank")
    page.goto(report.as_uri() + address)
    target = page.locator("#list .target")
    assert target.count() == 1 and target.locator(".id a").inner_text() == name
    assert -1 <= target.bounding_box()["y"] < 200
    page.fill("#search", "no such text")
    wait(page)
    assert total(page) == 0
    page.evaluate("address => { location.hash = address; }", address)
    wait(page)
    assert page.locator("#list .target .id a").inner_text() == name  # filters that hide it give way


def test_addresses_of_sections_stay_what_they_are(page, report):
    page.goto("about:blank")
    page.goto(report.as_uri() + "#settings")
    assert page.locator("#settings h2").bounding_box()["y"] < 900 and page.url.endswith("#settings")
    page.goto("about:blank")
    page.goto(report.as_uri() + "#replies:sort=99&minus=77&page=-4&nonsense=%E0%A4%A")
    assert total(page) == 43 and page.input_value("#sort") == ""
