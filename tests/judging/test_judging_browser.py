"""The page for judges in Chromium: by keyboard alone, without JavaScript, on a phone, and with the server gone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.judging import ServeProcess, study
from support.page_checks import contrast

from dialoeval.judging.design import Gold
from dialoeval.judging.judgments import StudyKind
from dialoeval.judging.store import judgments

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def served(tmp_path):
    made = study(tmp_path, contexts=3, gold=Gold(0, 0), repeats=0, comment=True)
    with ServeProcess(made.path, "--port", "0", "--judge", "alice") as server:
        server.study = made
        yield server


def open_page(browser, server, **context):
    page = browser.new_context(viewport={"width": 1100, "height": 900}, **context).new_page()
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.goto(f"{server.url}/?t={server.tokens['alice']}")
    if context.get("java_script_enabled", True):
        listening(page)
    assert page.url == f"{server.url}/"  # the token is out of the address bar
    return page


def picture(page, name: str) -> None:
    """Keep a screenshot if the environment asks for them."""
    if folder := os.environ.get("DIALOEVAL_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def listening(page) -> None:
    """Wait until the page's script hears keys: a key that is pressed before it loads does nothing."""
    page.wait_for_selector("#keys", state="visible")


def token(page) -> str:
    return page.locator("input[name=token]").get_attribute("value")


def test_by_keyboard_alone(browser, served):
    page = open_page(browser, served)
    picture(page, "light")
    first = token(page)
    page.keyboard.press("1")
    page.keyboard.press("2")
    page.keyboard.press("Enter")  # one question is open: nothing is sent
    assert "still open" in page.inner_text("#status") and token(page) == first
    page.keyboard.press("3")
    assert page.evaluate("document.activeElement.id") == "send"
    page.keyboard.press("Enter")
    page.wait_for_selector("#undo")
    listening(page)
    assert token(page) != first and "1 saved" in page.inner_text("header")
    page.wait_for_timeout(250)
    assert page.inner_text("#status") == "Saved."
    page.keyboard.press("u")
    page.wait_for_selector(".editing")
    listening(page)
    assert token(page) == first and page.locator("input:checked[type=radio]").count() == 3
    picture(page, "undo")
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    page.wait_for_selector(".editing", state="detached")
    page.wait_for_selector("#undo")
    listening(page)
    page.keyboard.press("?")
    page.wait_for_url("**/help")
    picture(page, "help")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(served.url + "/")
    listening(page)
    # The keys do nothing in the comment, and nothing once they are switched off.
    page.focus("textarea")
    page.keyboard.type("1u?")
    assert page.locator("input:checked[type=radio]").count() == 0 and page.input_value("textarea") == "1u?"
    page.focus("#keys-on")
    page.keyboard.press("Space")
    page.keyboard.press("1")
    assert page.locator("input:checked[type=radio]").count() == 0
    page.reload()
    listening(page)
    assert not page.is_checked("#keys-on")
    # Tab and Space alone finish the study.
    for _ in range(2):
        for i in range(3):
            page.focus(f"input[name=q{i}] >> nth=0")
            page.keyboard.press("Space")
            page.keyboard.press("ArrowDown")
        before = token(page)
        page.focus("#send")
        page.keyboard.press("Enter")
        page.wait_for_function("before => document.querySelector('[name=token]')?.value !== before", arg=before)
    assert "Thank you" in page.inner_text("h1")
    picture(page, "thanks")
    rows = judgments(served.study).rows
    assert len(rows) == 9 and sum("revised" in row.flags for row in rows) == 3
    assert page.complaints == []
    page.context.close()


def test_without_javascript(browser, served):
    page = open_page(browser, served, java_script_enabled=False)
    first = token(page)
    page.check("input[name=q0][value=a]")
    page.click("#send")
    assert page.locator("#summary a").count() == 2 and page.title().startswith("Error: ")
    assert page.is_checked("input[name=q0][value=a]") and token(page) == first
    picture(page, "errors")
    page.check("input[name=q1][value=same]")
    page.check("input[name=q2][value=b]")
    page.click("#send")
    assert "1 saved" in page.inner_text("header") and token(page) != first
    page.click("#undo button")
    assert token(page) == first
    page.click("text=Leave it as it was")
    assert token(page) != first and len(judgments(served.study).rows) == 3
    page.context.close()


def test_a_lost_connection_keeps_the_form(browser, served):
    page = open_page(browser, served)
    first = token(page)
    for key in "123":
        page.keyboard.press(key)
    page.context.set_offline(True)
    page.click("#send")
    page.wait_for_selector("#status.failed")
    assert "Not saved yet" in page.inner_text("#status") and page.inner_text("#send") == "Send again"
    assert page.locator("input:checked[type=radio]").count() == 3
    page.context.set_offline(False)
    page.click("#send")
    page.wait_for_selector("#undo")
    assert token(page) != first and len(judgments(served.study).rows) == 3
    page.context.close()


def test_a_link_on_another_site_opens_the_page(browser, served):
    page = browser.new_page()
    link = f"{served.url}/?t={served.tokens['alice']}"
    page.route(
        "http://mail.example/*",
        lambda route: route.fulfill(body=f"<a href='{link}'>judge</a>", content_type="text/html"),
    )
    page.goto("http://mail.example/")
    page.click("a")
    page.wait_for_selector("input[name=token]", state="attached")
    page.close()


@pytest.mark.parametrize("kind", StudyKind)
def test_fits_a_phone_light_and_dark(browser, tmp_path, kind):
    made = study(tmp_path, contexts=3, kind=kind, human=True)
    with ServeProcess(made.path, "--port", "0", "--judge", "alice") as server:
        for scheme in ("light", "dark"):
            page = open_page(browser, server, color_scheme=scheme)
            picture(page, f"{kind}-{scheme}")
            for width in (390, 320):
                page.set_viewport_size({"width": width, "height": 800})
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                picture(page, f"{kind}-{scheme}-{width}")
            small = page.evaluate(
                "[...document.querySelectorAll('label, button, a.quiet')]"
                ".filter(e => e.offsetParent && e.getBoundingClientRect().height < 24).map(e => e.textContent)"
            )
            assert small == []
            page.context.close()
        page = browser.new_page()
        page.goto(f"{server.url}/organiser?t={server.organiser}")
        assert "alice" in page.inner_text("table")
        picture(page, f"organiser-{kind}")
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(browser, served, scheme):
    page = open_page(browser, served, color_scheme=scheme)
    for selector in (
        "h1",
        ".count",
        ".who",
        "h2",
        ".turn p",
        ".reply p",
        "legend",
        ".options label",
        ".main",
        ".quiet",
    ):
        assert contrast(page, selector) >= 4.5, selector
    page.context.close()
