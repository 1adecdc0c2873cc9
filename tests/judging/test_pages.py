"""The pages, request by request: blinding, idempotence, revision, bad input."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from starlette.testclient import TestClient
from support.judging import study

from dialoeval.judging.design import Gold
from dialoeval.judging.items import Study
from dialoeval.judging.store import Store, judgments
from dialoeval.judging.web import application

URL = "http://127.0.0.1:8765"


@pytest.fixture
def served(tmp_path):
    made = study(tmp_path, contexts=6, gold=Gold(0, 0), repeats=0)
    made = Study(made.path, replace(made.design, comment=True), made.items)
    with closing(Store(made)) as store:
        store.open_study()
        yield store


def client_of(store, **more):
    return TestClient(application(store, URL, **more), base_url=URL, follow_redirects=False)


@pytest.fixture
def judge(served):
    client = client_of(served)
    token = served.add_judge("alice")
    response = client.get(f"/?t={token}")
    assert response.status_code == 303 and response.headers["location"] == "/" and token not in response.text
    cookie = response.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie
    return client


def token_of(page) -> str:
    return re.search(r'name="token" value="([^"]+)"', page.text)[1]


def form(token, **more):
    return {"token": token, "q0": "a", "q1": "same", "q2": "b", **more}


def rows(store):
    return store.connection().execute("SELECT token, question, value FROM answers ORDER BY seq").fetchall()


def test_every_answer_has_the_headers(judge):
    for response in (judge.get("/"), judge.get("/nothing"), judge.get("/static/judge.js"), judge.put("/")):
        assert response.headers["content-security-policy"].startswith("default-src 'none'")
        assert response.headers["referrer-policy"] == "no-referrer" and response.headers["cache-control"] == "no-store"


def test_the_same_post_again_changes_nothing_and_another_is_a_revision(judge, served):
    token = token_of(judge.get("/"))
    for _ in range(3):
        assert judge.post("/answer", data=form(token, comment="hm")).status_code == 303
    assert len(rows(served)) == 3
    assert served.connection().execute("SELECT COUNT(*) FROM comments").fetchone() == (1,)
    assert judge.post("/answer", data=form(token, q1="b")).status_code == 303
    assert len(rows(served)) == 4
    read = judgments(served.study)
    assert len(read.rows) == 3 and {row.flags for row in read.rows} == {("revised",)}


def test_answers_cannot_be_changed_in_the_database(judge, served):
    judge.post("/answer", data=form(token_of(judge.get("/"))))
    for statement in ("UPDATE answers SET value = 'b'", "DELETE FROM answers"):
        with pytest.raises(sqlite3.Error, match="append-only"):
            served.connection().execute(statement)


def test_undo_shows_the_last_item_with_its_answers(judge, served):
    assert judge.post("/undo").headers["location"] == "/"
    first = token_of(judge.get("/"))
    judge.post("/answer", data=form(first))
    waiting = token_of(judge.get("/"))
    back = judge.post("/undo").headers["location"]
    page = judge.get(back)
    assert token_of(page) == first and page.text.count(" checked") == 3 and "your last item again" in page.text
    assert judge.post("/answer", data=form(first, q0="b")).headers["location"] == "/"
    assert token_of(judge.get("/")) == waiting  # the item at hand is still there
    assert judge.get(f"/?edit={waiting}").headers["location"] == "/"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"q1": None}, 400),
        ({"q1": ""}, 400),
        ({"q1": "neither"}, 400),
        ({"q1": ["a", "b"]}, 400),
        ({"q9": "a"}, 400),
        ({"comment": "a\0b"}, 400),
        ({"comment": "x" * 70_000}, 413),
        ({"comment": "x" * 10_000_000}, 413),
        ({"token": "wrong"}, 404),
        ({"token": None}, 404),
    ],
)
def test_bad_answers_store_nothing(judge, served, change, status):
    data = {name: value for name, value in (form(token_of(judge.get("/"))) | change).items() if value is not None}
    response = judge.post("/answer", data=data)
    assert response.status_code == status and "<h1>" in response.text and rows(served) == []


def test_a_form_with_a_missing_answer_is_kept_and_the_error_linked(judge):
    token = token_of(judge.get("/"))
    page = judge.post("/answer", data={"token": token, "q0": "b", "q2": "same", "comment": "<b>hm</b>"})
    assert page.status_code == 400 and token_of(page) == token and page.text.count(" checked") == 2
    assert 'href="#q1-1"' in page.text and 'id="q1-1"' in page.text and "&lt;b&gt;hm&lt;/b&gt;" in page.text


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"token=\xff", "application/x-www-form-urlencoded"),
        (b"token=%ff%fe", "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
        (b"--x--", "multipart/form-data; boundary=x"),
        (b"&".join(b"a%d=1" % i for i in range(500)), "application/x-www-form-urlencoded"),
    ],
)
def test_bodies_that_are_no_form(judge, served, body, kind):
    response = judge.post("/answer", content=body, headers={"content-type": kind})
    assert response.status_code == 400 and "<h1>" in response.text and rows(served) == []


def test_wrong_methods_and_pages(judge):
    assert judge.get("/answer").status_code == 405 and judge.delete("/").status_code == 405
    assert judge.get("/static/../store.py").status_code == 404 and judge.get("/static/judge.html").status_code == 404
    assert judge.get("/organiser").status_code == 403


def test_missing_stopped_and_wrong_tokens(served, judge):
    stranger = client_of(served)
    page = stranger.get("/")
    assert page.status_code == 403 and 'content="0; url=/?again=1"' in page.text  # a browser may hold the cookie back
    assert "http-equiv" not in stranger.get("/?again=1").text
    assert stranger.post("/answer", data=form("x")).status_code == 403
    served.set_status("alice", "stopped", "")
    assert judge.get("/").status_code == 403
    for _ in range(10):
        assert stranger.get("/?t=wrong").status_code == 403
    assert stranger.get("/?t=wrong").status_code == 429
    assert stranger.get(f"/?t={served.add_judge('bob')}").status_code == 429


def test_another_judges_item_is_not_there(served, judge):
    token = token_of(judge.get("/"))
    other = client_of(served)
    other.get(f"/?t={served.add_judge('bob')}")
    assert other.post("/answer", data=form(token)).status_code == 404 and rows(served) == []


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 400),
        ("127.0.0.1.evil.example", 400),
        ("", 400),
        ("localhost:8765", 303),
        ("[::1]:8765", 303),
        ("10.0.0.7:8765", 303),
        ("judge.example", 303),
    ],
)
def test_the_host_header_is_checked(served, host, status):
    client = client_of(served, hosts=["Judge.Example"])
    assert client.get(f"/?t={served.add_judge('bob')}", headers={"host": host}).status_code == status


def test_a_post_from_another_site_is_refused(judge, served):
    token = token_of(judge.get("/"))
    response = judge.post("/answer", data=form(token), headers={"sec-fetch-site": "cross-site"})
    assert response.status_code == 403 and rows(served) == []


def test_texts_are_shown_as_texts(served):
    hostile = "<script>alert(1)</script>\u200b\u202etxt\x07 اهلا"
    items = [
        replace(item, replies=dict.fromkeys(item.replies, hostile), context=(hostile,)) for item in served.study.items
    ]
    items = [replace(item, replies={**item.replies, item.systems[1]: "  "}) for item in items]
    study_ = Study(served.study.path, served.study.design, items)
    served.study = study_
    client = client_of(served)
    client.get(f"/?t={served.add_judge('bob')}")
    page = client.get("/").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;[U+200B][U+202E]txt[U+0007] اهلا" in page and "(no reply)" in page


def test_organiser(served, judge):
    judge.post("/answer", data=form(token_of(judge.get("/"))))
    client = client_of(served)
    assert client.get(f"/organiser?t={served.new_organiser()}").headers["location"] == "/organiser"
    page = client.get("/organiser")
    assert "1 of 18 judgments" in page.text and "alice" in page.text
    assert client.post("/organiser", data={"action": "stop", "judge": "alice"}).status_code == 303
    assert judge.get("/").status_code == 403
    client.post("/organiser", data={"action": "resume", "judge": "alice"})
    assert judge.get("/").status_code == 200
    page = client.post("/organiser", data={"action": "add", "judge": "<b>"})
    link = re.search(re.escape(URL) + r"(/\?t=[\w-]+)", page.text)[1]
    assert client.get(link).status_code == 303 and "<b>" not in page.text
    page = client.post("/organiser", data={"action": "link", "judge": "alice"})
    assert page.status_code == 200 and judge.get("/").status_code == 403
    for data, status in [
        ({"action": "stop", "judge": "nobody"}, 404),
        ({"action": "add", "judge": "<b>"}, 400),
        ({}, 400),
    ]:
        assert client.post("/organiser", data=data).status_code == status


def test_a_full_disk(judge, served):
    token = token_of(judge.get("/"))
    page = served.record
    served.record = lambda *arguments: (_ for _ in ()).throw(sqlite3.OperationalError("database or disk is full"))
    response = judge.post("/answer", data=form(token))
    assert response.status_code == 503 and "nothing was lost" in response.text
    assert f'value="{token}"' in response.text and "Send again" in response.text
    served.record = page
    assert judge.post("/answer", data=form(token)).status_code == 303
