"""The page of a chat in Chromium: with keys, without JavaScript, two tabs, a phone, dark, contrast."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.page_checks import contrast

from dialoeval.files import read_jsonl

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[1]
LAST = "n => document.querySelectorAll('#log .turn').length === n && document.querySelector('#last.model')"


@contextlib.contextmanager
def served(folder: Path, *arguments: str):
    """Run `dialoeval chat --web` as a process of its own; yields it with its link."""
    command = [sys.executable, "-m", "dialoeval", "chat", "--web", "--port", "0", "--name", "w", *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        process.link = re.search(r"http://\S+", process.stdout.readline())[0]
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def chat(tmp_path):
    with served(tmp_path, "decoding=mmi", "decoding.num_candidates=3", "decoding.max_new_tokens=12") as process:
        yield process


def open_page(browser, chat, **context):
    page = browser.new_context(viewport={"width": 1100, "height": 800}, **context).new_page()
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.goto(chat.link)
    assert "?t=" not in page.url
    return page


def picture(page, name: str) -> None:
    """Keep a screenshot if the environment asks for them."""
    if folder := os.environ.get("DIALOEVAL_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"chat-{name}.png")


def say(page, text: str, turns: int) -> str:
    """Type a line and press Enter; returns the reply."""
    page.wait_for_selector("body[data-ready]")
    page.fill("#text", text)
    page.press("#text", "Enter")
    page.wait_for_function(LAST, arg=turns)
    return page.inner_text("#last .bubble")


def test_with_keys(browser, chat, tmp_path):
    page = open_page(browser, chat)
    picture(page, "empty")
    first = say(page, "hello there", 2)
    assert page.evaluate("document.activeElement.id") == "text" and page.input_value("#text") == ""
    page.wait_for_function("() => document.querySelector('#status').textContent.startsWith('Model: ')")
    assert page.inner_text("#status .unseen") == f"Model: {first}"
    page.press("#text", "a")
    page.press("#text", "Shift+Enter")
    page.press("#text", "b")
    assert page.input_value("#text") == "a\nb"
    say(page, "<b>how</b> are you?", 4)
    assert page.inner_text("#log .user >> nth=1").endswith("<b>how</b> are you?")
    page.click("#last summary")
    assert "log-probability" in page.inner_text("#last dl") and page.locator("#last .candidates li").count() == 3
    page.click("text=Retry")
    page.wait_for_function("() => document.querySelector('#last dl')?.textContent.match(/seed\\s*1/)")
    picture(page, "light")
    page.click("text=Undo")
    page.wait_for_function(LAST, arg=2)
    assert page.inner_text("#last .bubble") == first
    page.click("text=New conversation")
    page.wait_for_selector("#empty")
    say(page, "and again", 2)
    assert page.complaints == []
    chat.send_signal(signal.SIGINT)
    assert "saved: " in chat.communicate(timeout=60)[0] and chat.returncode == 0
    page.fill("#text", "are you there?")
    page.press("#text", "Enter")
    page.wait_for_selector("#status.failed")
    assert page.input_value("#text") == "are you there?" and not page.is_disabled("#send")
    page.context.close()
    rows = [row for _, row in read_jsonl(tmp_path / "chats" / "w.jsonl")]
    assert [(row["id"], len(row["turns"])) for row in rows] == [("w", 2), ("w.2", 2)]


def test_without_javascript_and_in_two_tabs(browser, chat):
    page = open_page(browser, chat, java_script_enabled=False)
    other = page.context.new_page()
    other.goto(page.url)
    page.fill("#text", "hello")
    page.click("#send")
    page.locator("#log .turn").nth(1).wait_for()
    assert page.locator("#log .turn").count() == 2 and page.url.endswith("#last")
    other.fill("#text", "I type here")
    other.click("#send")
    assert "gone on elsewhere" in other.inner_text("#problem") and other.title().startswith("Error: ")
    assert other.input_value("#text") == "I type here" and other.locator("#log .turn").count() == 2
    picture(other, "behind")
    other.click("#send")
    other.locator("#log .turn").nth(3).wait_for()
    other.click("#last summary")
    assert other.is_visible("#last dl")
    other.click("text=Retry")
    other.wait_for_selector("#last dd:text-is('1')", state="attached")  # the next seed
    other.click("text=Undo")
    other.locator("#log .turn").nth(2).wait_for(state="detached")
    assert other.locator("#log .turn").count() == 2
    page.context.close()


def test_a_reply_is_shown_as_it_comes(browser, tmp_path):
    with served(tmp_path, "decoding=greedy", "decoding.max_new_tokens=60", "decoding.min_new_tokens=60") as chat:
        page = open_page(browser, chat)
        say(page, "hello", 2)  # the model is loaded
        page.evaluate(
            """() => { window.seen = new Set(); new MutationObserver(() => {
                const one = document.querySelector('#log > li[aria-hidden] p'); if (one) seen.add(one.textContent);
            }).observe(document.body, {childList: true, subtree: true, characterData: true}); }"""
        )
        reply = say(page, "and then?", 4)
        seen = page.evaluate("[...seen]")
        assert seen[0] == "is writing" and all(reply.startswith(text) for text in seen[1:]), (seen, reply)
        assert page.complaints == []
        page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_and_contrast(browser, chat, scheme):
    page = open_page(browser, chat, color_scheme=scheme)
    say(page, "hello " * 60 + "W" * 200, 2)
    page.click("#last summary")
    for width in (1100, 390, 320):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        picture(page, f"{scheme}-{width}")
    small = (
        "[...document.querySelectorAll('button, summary')].filter(e => e.getBoundingClientRect().height < 24).length"
    )
    assert page.evaluate(small) == 0
    for selector in ("h1", ".count", ".quiet", ".who", ".user .bubble", ".model .bubble", ".why summary", ".why dt",
                     ".why dd", ".score", ".say label", "#send", ".foot"):  # fmt: skip
        assert contrast(page, selector) >= 4.5, selector
    named = page.evaluate(
        "[...document.querySelectorAll('button, textarea')].map(e => e.labels?.[0]?.textContent || e.textContent)"
    )
    assert all(named)
    page.context.close()
