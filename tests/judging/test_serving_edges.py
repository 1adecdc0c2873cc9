"""Serving where things go wrong: links, hosts, a tunnel's one address, connections cut, a proxy that answers 502."""

from __future__ import annotations

import contextlib
import io
import re
import socket
import sqlite3
from contextlib import closing

import pytest
from starlette.testclient import TestClient
from support.judging import CLIENTS, ScriptedJudge, ServeProcess, study
from support.report_runs import examples, replies, write_run

from dialoeval.config import ProtocolConfig
from dialoeval.errors import UserError
from dialoeval.judging.design import Gold
from dialoeval.judging.items import load_study
from dialoeval.judging.new import Options, make_study
from dialoeval.judging.server import Links, Serving, serve
from dialoeval.judging.store import Store, judgments
from dialoeval.judging.web import application
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.reader import load_run
from dialoeval.serving.web import WRONG_TOKENS

URL = "http://127.0.0.1:8765"


@pytest.fixture(autouse=True)
def closed():
    yield
    while CLIENTS:
        CLIENTS.pop().close()


@pytest.fixture
def served(tmp_path):
    made = study(tmp_path, contexts=6, gold=Gold(0.06, 3), repeats=0)
    with closing(Store(made)) as store:
        store.open_study()
        yield store


def client_of(store, path: str | None = None):
    client = TestClient(application(store, URL), base_url=URL, follow_redirects=False)
    if path is not None:
        assert client.get(path).status_code == 303
    return client


def form(page, **more):
    token = re.search(r'name="token" value="([^"]+)"', page.text)[1]
    return {"token": token, "q0": "a", "q1": "same", "q2": "b", **more}


def test_wrong_links_lock_nobody_out_who_is_in_already(served):
    """Behind a tunnel all judges have one address: the wrong links of one must not refuse the answers of another."""
    judge = client_of(served, f"/?t={served.add_judge('alice')}")
    organiser = client_of(served, f"/organiser?t={served.new_organiser()}")
    sent = form(judge.get("/"))
    stranger = client_of(served)
    answers = [stranger.get("/?t=wrong").status_code for _ in range(WRONG_TOKENS + 1)]
    assert answers == [403] * WRONG_TOKENS + [429]
    assert stranger.get(f"/?t={served.add_judge('bob')}").status_code == 429
    assert judge.post("/answer", data=sent).headers["location"] == "/"
    assert judge.get("/").status_code == 200 and organiser.get("/organiser").status_code == 200
    assert len(judgments(served.study).rows) == 3


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_port_cannot_act_for_the_organiser(served, site):
    served.add_judge("alice")
    organiser = client_of(served, f"/organiser?t={served.new_organiser()}")
    stop = {"action": "stop", "judge": "alice"}
    assert organiser.post("/organiser", data=stop, headers={"sec-fetch-site": site}).status_code == 403
    assert served.progress()[0].status == "active"
    assert organiser.post("/organiser", data=stop, headers={"sec-fetch-site": "same-origin"}).status_code == 303
    assert served.progress()[0].status == "stopped"


def test_a_database_that_cannot_be_read_gets_a_page_that_speaks_of_no_answers(served):
    judge = client_of(served, f"/?t={served.add_judge('alice')}")
    served.done = lambda judge: (_ for _ in ()).throw(sqlite3.OperationalError("disk I/O error"))
    page = judge.get("/")
    assert page.status_code == 503 and "What you saved is safe" in page.text and "could not be saved" not in page.text


def test_gold_items_look_like_all_others(served):
    """The same bytes but for texts and tokens, and a count that does not jump."""
    judge = client_of(served, f"/?t={served.add_judge('alice')}")
    shapes, kinds = set(), []
    for done in range(6):
        response = judge.get("/")
        sent = form(response)
        item = served.assignment(sent["token"], "alice").item
        kinds.append(str(item.kind))
        sent["q0"] = "a" if served.assignment(sent["token"], "alice").left in ("fitting", "zebrafinch") else "b"
        text = response.text.replace(sent["token"], "TOKEN")
        assert len(sent["token"]) == 22 and f'<p class="count">{done} saved</p>' in text
        text = re.sub(r"<bdi.*?</bdi>|\d+ saved|(?s:<form method=\"post\" action=\"/undo\".*?</form>)", "", text)
        text = re.sub(r'(?s)<div class="turn.*?</div>\s*', "", text).replace("person 2", "person 1")
        shapes.add((re.sub(r"\s+", " ", text), *(k for k, _ in response.headers.items() if k != "content-length")))
        judge.post("/answer", data=sent)
    assert set(kinds) == {"gold", "real"} and len(shapes) == 1


def started(made, *names: str, **more) -> Links:
    """Start, and stop as soon as the links are made."""

    class Enough(Exception):
        pass

    kept = []

    def announce(links: Links) -> None:
        kept.append(links)
        raise Enough

    with pytest.raises(Enough):
        serve(made, Serving(port=0, judges=names, **more), announce)
    return kept[0]


def test_no_link_is_made_by_a_command_that_fails(tmp_path):
    made = study(tmp_path, contexts=4)
    for names in (["alice", ""], ["alice", "model:x"]):
        with pytest.raises(UserError, match="is not a name for a judge"):
            serve(made, Serving(port=0, judges=names), print)
    assert list(started(made, "alice", "alice").judges) == ["alice"]  # named twice: one link
    with closing(Store(made)) as store:
        before = store.connection().execute("SELECT token_sha256 FROM judges").fetchall()
    with pytest.raises(UserError, match="no judge 'alise'; did you mean 'alice'"):
        serve(made, Serving(port=0, new_links=["alice", "alise"]), print)
    with closing(Store(made)) as store:
        assert store.connection().execute("SELECT token_sha256 FROM judges").fetchall() == before


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"host": ""}, "--host must not be empty"),
        ({"host": "a..b"}, r"cannot listen on a\.\.b port"),
        ({"host": "x" * 70}, "cannot listen on xxx"),
        ({"host": "192.0.2.1"}, "cannot listen on 192.0.2.1 port"),
        ({"public_url": "judge.example"}, "--public-url must be like https://judge.example"),
        ({"public_url": "https://judge.example/below"}, "without a path"),
        ({"public_url": "ftp://judge.example"}, "--public-url must be"),
        ({"public_url": "http://[::1"}, "--public-url must be"),
        ({"public_url": ""}, "--public-url must be"),
    ],
)
def test_addresses_that_cannot_be(tmp_path, more, message):
    made = study(tmp_path, contexts=4)
    with pytest.raises(UserError, match=message):
        serve(made, Serving(**more), print)
    with closing(Store(made)) as store:
        assert store.get("study.yaml sha256") is None  # nothing was served: the study can still be edited


def test_too_few_judges_are_said(tmp_path):
    from dialoeval.cli.judge_serve import _announce

    links = started(study(tmp_path, contexts=4), "alice", "bob")
    with contextlib.redirect_stdout(io.StringIO()) as said:
        _announce(links)
    assert "note: 2 judges, and each item asks for 3" in said.getvalue()


def test_undo_shows_the_comment_again(tmp_path):
    made = study(tmp_path, contexts=4, gold=Gold(0, 0), comment=True)
    with closing(Store(made)) as store:
        store.open_study()
        judge = client_of(store, f"/?t={store.add_judge('alice')}")
        sent = form(judge.get("/"), comment="<both> odd")
        judge.post("/answer", data=sent)
        page = judge.get(judge.post("/undo").headers["location"])
        assert "&lt;both&gt; odd</textarea>" in page.text and form(page)["token"] == sent["token"]
        assert "&lt;both" not in judge.get("/").text


def test_links_have_the_public_address(tmp_path):
    links = started(study(tmp_path, contexts=4), "alice", public_url="https://judge.example")
    assert links.judges["alice"].startswith("https://judge.example/?t=")


def test_a_database_that_cannot_be_written_when_serving_starts(tmp_path, monkeypatch):
    made = study(tmp_path, contexts=4)

    def full(self, *arguments):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Store, "add_judge", full)
    with pytest.raises(UserError, match=r"cannot use .*judgments\.sqlite: database or disk is full; make the folder"):
        serve(made, Serving(port=0), print)


def test_runs_are_found_beside_the_folder_of_studies(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from pathlib import Path

    data = examples(8, references=2)
    for i, name in enumerate(("one", "two")):
        write_run(Path("reports"), data, replies(data, i), name=name, protocol=ProtocolConfig(name="none"))
    pair = {name: load_run(RunFolder(Path("reports") / name)) for name in ("one", "two")}
    make_study(pair, Options(), Path("studies/s"), Path("studies"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert load_study("../studies/s").check_sources() == []
    with open("../reports/one/replies.jsonl", "a") as file:
        file.write("\n")
    with pytest.raises(UserError, match="is not the one this study was made from"):
        load_study("../studies/s").check_sources()


def test_the_human_reply_as_the_one_reference(tmp_path):
    data = examples(8, references=1)
    for held_out in (None, 0):  # held out or not, an only reference is scored against
        name = f"held{held_out}"
        protocol = ProtocolConfig(name="none", held_out=held_out)
        write_run(tmp_path, data, replies(data, 1), name=name, protocol=protocol)
        run = {"a": load_run(RunFolder(tmp_path / name))}
        with pytest.raises(UserError, match=r"one reference each.*--human-scored") as caught:
            make_study(run, Options(human=True), tmp_path / "s", tmp_path)
        assert "protocol.held_out" not in str(caught.value)


@pytest.mark.slow
def test_cut_connections_leave_no_traceback(tmp_path):
    made = study(tmp_path, contexts=4)
    with ServeProcess(made.path, "--port", "0", "--judge", "alice") as server:
        judge = ScriptedJudge(server.url, server.tokens["alice"])
        judge.open()
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in judge.client.cookies.jar)
        port = int(server.url.rpartition(":")[2])
        head = (
            f"POST /answer HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {cookies}\r\nContent-Length: 900\r\n\r\ntoken="
        )
        for _ in range(3):
            with closing(socket.create_connection(("127.0.0.1", port))) as cut:
                cut.sendall(head.encode())
        assert judge.step()
        rest = server.stop()
    assert "Traceback" not in rest and "Exception" not in rest
    assert len(judgments(made).rows) == 3


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("status", [500, 502, 504, 429])
def test_a_proxy_without_its_server_keeps_the_form(browser, tmp_path, status):
    made = study(tmp_path, contexts=3, gold=Gold(0, 0), repeats=0, comment=True)
    with ServeProcess(made.path, "--port", "0", "--judge", "alice") as server:
        page = browser.new_context().new_page()
        page.goto(f"{server.url}/?t={server.tokens['alice']}")
        page.wait_for_selector("#keys", state="visible")
        page.route("**/answer", lambda route: route.fulfill(status=status, body="Bad gateway"))
        page.fill("textarea", "kept")
        page.focus("input[type=radio]")
        for key in "123":
            page.keyboard.press(key)
        page.keyboard.press("Enter")
        page.wait_for_selector("#status:has-text('Not saved yet')")
        assert page.locator("input:checked[type=radio]").count() == 3 and page.input_value("textarea") == "kept"
        page.unroute("**/answer")
        page.click("#send")
        page.wait_for_selector(".count:has-text('1 saved')")
    assert len(judgments(made).rows) == 3
