"""The page of a chat, request by request: who may open it, what two tabs do, and what is shown of a reply."""

from __future__ import annotations

import re
import threading
from contextlib import closing

import pytest
from starlette.testclient import TestClient

from dialoeval.chat.session import Session, Speaker
from dialoeval.chat.talk import Talk
from dialoeval.chat.web import Pages, application
from dialoeval.errors import UserError
from dialoeval.files import read_jsonl
from dialoeval.serving.web import WRONG_TOKENS

URL = "http://127.0.0.1:8765"


@pytest.fixture
def pages(tmp_path):
    talk = Talk(["decoding=topk"], Session("w"), tmp_path / "chats.jsonl")
    with closing(talk):
        talk.speaker  # noqa: B018 - loaded
        yield Pages(talk, URL)


def client_of(pages, opened=True, **more):
    client = TestClient(application(pages, **more), base_url=URL, follow_redirects=False)
    if opened:
        assert client.get(f"/?t={pages.token}").status_code == 303
    return client


def revision(page) -> str:
    return re.search(r'name="revision" value="(\d+)"', page.text)[1]


def say(client, text, at=None):
    at = revision(client.get("/")) if at is None else at
    return client.post("/say", data={"revision": at, "text": text})


def act(client, action):
    return client.post("/act", data={"revision": revision(client.get("/")), "action": action})


def texts(pages):
    return [turn.text for turn in pages.talk.session.turns]


def test_only_the_link_opens_it(pages):
    stranger = client_of(pages, opened=False)
    for answer in (
        stranger.get("/"),
        stranger.get("/so-far"),
        stranger.post("/say", data={"revision": "0", "text": "hi"}),
        stranger.post("/act", data={"revision": "0", "action": "reset"}),
    ):
        assert answer.status_code == 403 and answer.headers["content-security-policy"].startswith("default-src 'none'")
    for _ in range(WRONG_TOKENS):
        assert stranger.get("/?t=é").status_code == 403
    assert stranger.get(f"/?t={pages.token}").status_code == 429
    with pytest.raises(AssertionError):
        client_of(pages)  # the address is shut out for a minute
    assert pages.talk.session.turns == []


def test_the_cookie_and_the_host(pages):
    client = client_of(pages, opened=False)
    answer = client.get(f"/?t={pages.token}")
    assert answer.headers["location"] == "/" and pages.token not in answer.text
    assert "HttpOnly" in answer.headers["set-cookie"] and "SameSite=strict" in answer.headers["set-cookie"]
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    assert client.get("/", headers={"host": "localhost:1"}).status_code == 200
    from_elsewhere = {"sec-fetch-site": "same-site"}
    assert client.post("/say", data={"revision": "0", "text": "hi"}, headers=from_elsewhere).status_code == 403
    assert client.get("/static/chat.js").status_code == client.get("/static/style.css").status_code == 200
    assert client.get("/static/../web.py").status_code == client.get("/nothing").status_code == 404


def test_a_conversation_is_that_of_the_terminal(pages, tmp_path):
    client = client_of(pages)
    assert say(client, "hello\r\nthere").headers["location"] == "/#last"
    with closing(Talk(["decoding=topk"], Session("w"))) as terminal:
        assert texts(pages) == ["hello\nthere", terminal.say("hello\nthere").text]
        page = client.get("/").text
        assert "log-probability" in page and re.search(r"<code>hello\sthere&lt;\|endoftext\|&gt;</code>", page)
        assert act(client, "retry").status_code == 303
        assert pages.talk.session.turns[1].made.seed == 1 and texts(pages)[1] == terminal.retry().text
    assert act(client, "undo").status_code == 303 and texts(pages) == []
    say(client, "<script>alert(1)</script>")
    assert "<script>alert" not in client.get("/").text and "&lt;script&gt;alert(1)" in client.get("/").text
    assert act(client, "reset").status_code == 303
    say(client, "hi again")
    assert [row["id"] for _, row in read_jsonl(tmp_path / "chats.jsonl")] == ["w", "w.2"]


def test_what_is_wrong_keeps_what_was_typed(pages):
    client = client_of(pages)
    assert say(client, "  \n ").status_code == 400
    pages.talk.session.window = 5
    for data in ({"revision": "0", "action": "format"}, {"revision": "0"}):
        assert client.post("/act", data=data).status_code == 400
    assert client.post("/say", content="revision=0&text=%ff", headers=FORM).status_code == 400
    assert client.post("/say", content="revision=0&text=a&text=b", headers=FORM).status_code == 400
    assert client.post("/say", content="text=" + "a" * 70_000, headers=FORM).status_code == 413
    assert client.post("/say", data={"text": "typed"}).status_code == 409
    assert act(client, "undo").status_code == 400 and act(client, "retry").status_code == 400
    assert texts(pages) == [] and pages.revision == 0


FORM = {"content-type": "application/x-www-form-urlencoded"}


def test_an_error_of_the_model_is_shown(pages, monkeypatch):
    client = client_of(pages)

    def broken(*arguments):
        raise UserError("the server <b>is gone")

    monkeypatch.setattr(Speaker, "reply", broken)
    page = say(client, "typed & kept")
    assert page.status_code == 400 and "the server &lt;b&gt;is gone" in page.text and "typed &amp; kept" in page.text
    assert revision(page) == "0" and pages.so_far is None


def test_two_tabs(pages):
    """The second tab is told that the conversation went on, and nothing it sent is added or lost."""
    client = client_of(pages)
    first = revision(client.get("/"))
    say(client, "from one", at=first)
    page = say(client, "from the other", at=first)
    assert page.status_code == 409 and "gone on elsewhere" in page.text and ">from the other</textarea>" in page.text
    assert client.post("/act", data={"revision": first, "action": "undo"}).status_code == 409
    assert texts(pages)[0] == "from one" and len(texts(pages)) == 2
    assert say(client, "from the other", at=revision(page)).status_code == 303


def test_many_tabs_at_once(pages):
    client = client_of(pages)
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda i=i: answers.append(say(client, f"tab {i}", at="0").status_code))
        for i in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [303, *[409] * 5]
    assert [turn.role for turn in pages.talk.session.turns] == ["user", "assistant"]


def test_a_reply_is_told_while_it_is_made(pages, monkeypatch):
    client = client_of(pages)
    assert client.get("/so-far").status_code == 204
    seen = []
    reply = Speaker.reply

    def watched(speaker, example, window, seed, hear):
        def heard(text):
            hear(text)
            seen.append((client.get("/so-far").text, client.get("/").text))

        return reply(speaker, example, window, seed, heard)

    monkeypatch.setattr(Speaker, "reply", watched)
    assert say(client, "hello").status_code == 303
    assert seen and texts(pages)[1].startswith(seen[-1][0])
    assert all("is writing" in page and 'http-equiv="refresh"' in page for _, page in seen)
    assert client.get("/so-far").status_code == 204 and "is writing" not in client.get("/").text
