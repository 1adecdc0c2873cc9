"""A real `dialoeval judge serve`: kills, many judges at once, what their browsers receive, one server a study."""

from __future__ import annotations

import json
import os
import random
import re
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing

import pytest
from support.judging import CLIENTS, ROOT, ScriptedJudge, ServeProcess, study, together

from dialoeval.judging.design import Gold
from dialoeval.judging.judgments import ItemKind, Standing
from dialoeval.judging.store import Store, judgments

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def closed():
    yield
    while CLIENTS:
        CLIENTS.pop().close()


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_twenty_judges_at_once(tmp_path):
    made = study(tmp_path, contexts=30, human=True, repeats=0.1, gold=Gold(0.06, 1))
    seen: list[bytes] = []
    with ServeProcess(made.path, "--port", "0", "--judges", "20") as server:
        judges = [ScriptedJudge(server.url, token, seen) for token in server.tokens.values()]
        assert len(judges) == 20
        draws = [random.Random(i) for i in range(20)]
        for judge, draw in zip(judges, draws, strict=True):
            judge.step = lambda page=None, j=judge, d=draw: ScriptedJudge.step(j, page, lambda i: d.randrange(3))
        for judge in judges:  # each holds an item before the first one is answered
            judge.open()
        for thread in together(judges):
            thread.join(120)
        for judge in judges[:2]:  # pages off the path: help, errors, undo, thanks, wrong tokens
            for path in ("/help", "/nothing", "/static/style.css", "/static/judge.js", "/healthz", "/?edit=x"):
                judge.request("GET", path)
            judge.request("POST", "/undo", data={})
            judge.request("POST", "/answer", data={"token": "x"})
            judge.request("GET", "/undo")
            judge.client.cookies.clear()
            judge.request("GET", "/")
        rest = server.stop()
    assert "of 20 judges; written: " in rest
    rows = [row for row in judgments(made).rows if row.question == "relevance" and row.kind == ItemKind.real]
    per_item = Counter(row.item for row in rows if row.standing == Standing.counted)
    assert len(per_item) == 90 and set(per_item.values()) == {3}
    assert len({(row.item, row.judge) for row in rows}) == len(rows) == 270
    for pair in made.design.pairs:
        first = sum(1 if r.shown_first == r.systems[0] else -1 for r in rows if r.systems == pair)
        assert abs(first) <= 1
    acknowledged = {token for judge in judges for token, _ in judge.acknowledged}
    assert len(acknowledged) == sum(len(judge.acknowledged) for judge in judges)
    # No name of a system, run folder, example id, item or gold flag in any byte that a judge's browser received.
    received = b"\n".join(seen).lower()
    assert len(received) > 100_000
    forbidden = ["zebrafinch", "quokkamodel", "run-", "reports", "studies", "gold", "fitting", "random", "dialoeval"]
    forbidden += [item.item for item in made.items] + sorted({item.example_id for item in made.items})
    assert [word for word in forbidden if word.lower().encode() in received] == []
    assert set(json.loads((made.path / "judgments.jsonl").read_text().splitlines()[0])) >= {"item", "judge", "value"}


KILLS = int(os.environ.get("DIALOEVAL_JUDGE_KILLS", "25"))


@pytest.mark.timeout(900 + 5 * KILLS)
def test_random_kills_lose_nothing(tmp_path):
    """Kill -9 at random moments, 25 times, or `DIALOEVAL_JUDGE_KILLS` times."""
    contexts = max(60, KILLS)  # more work than the judges can finish between the kills
    made = study(tmp_path, n=contexts, contexts=contexts, human=True, judges_per_item=9, repeats=0.2)
    draw, port = random.Random(os.environ.get("DIALOEVAL_JUDGE_SEED", "5")), free_port()
    judges: list[ScriptedJudge] = []
    for _ in range(KILLS):
        with ServeProcess(made.path, "--port", str(port), *([] if judges else ["--judges", "4"])) as server:
            judges = judges or [ScriptedJudge(server.url, token) for token in server.tokens.values()]
            for judge in judges:
                judge.url = server.url
            threads = together(judges)
            time.sleep(draw.uniform(0.02, 0.6))
            server.kill()
            for thread in threads:
                thread.join(30)
    expected = {token: answers for judge in judges for token, answers in judge.acknowledged}
    assert len(expected) == sum(len(judge.acknowledged) for judge in judges)
    assert len(expected) >= 5  # the kills came while the judges were at work, on a slow machine too
    print(f"{KILLS} kills, {len(expected)} acknowledged items")
    with closing(Store(made, read_only=True)) as store:
        db = store.connection()
        rows = db.execute("SELECT token, question, value FROM answers").fetchall()
    kept = {(token, question): value for token, question, value in rows}
    assert len(kept) == len(rows)  # none twice
    names = [question.name for question in made.design.questions]
    for token, answers in expected.items():
        assert {name: kept[token, name] for name in names} == {
            names[int(field[1:])]: value for field, value in answers.items()
        }
    assert set(Counter(token for token, _ in kept).values()) == {3}  # and none by half


def test_one_server_a_study_and_the_next_free_port(tmp_path):
    made = study(tmp_path, contexts=4)
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with ServeProcess(made.path, "--port", str(port)) as server:
            assert server.url.rpartition(":")[2] != str(port)
            again = subprocess.run(
                [sys.executable, "-m", "dialoeval", "judge", "serve", str(made.path)],
                capture_output=True,
                text=True,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )
            assert again.returncode == 2 and again.stderr.count("\n") == 1
            assert f"process {server.process.pid} serves it at {server.url}" in again.stderr


def test_links_are_shown_once_and_only_hashes_are_kept(tmp_path):
    made = study(tmp_path, contexts=4)
    with ServeProcess(made.path, "--port", "0", "--judge", "alice") as server:
        token = server.tokens["alice"]
        assert ScriptedJudge(server.url, token).step()
        organiser = server.organiser
    for file in made.path.iterdir():
        content = file.read_bytes()
        assert token.encode() not in content and organiser.encode() not in content
    with ServeProcess(made.path, "--port", "0", "--judge", "alice") as server:
        assert server.tokens == {}
        assert ScriptedJudge(server.url, token).step()
    with ServeProcess(made.path, "--port", "0", "--new-link", "alice") as server:
        assert server.tokens["alice"] != token
        assert httpx_status(server.url, token) == 403
        assert ScriptedJudge(server.url, server.tokens["alice"]).step()
    with ServeProcess(made.path, "--port", "0", "--new-link", "alicia") as server:
        assert server.process.returncode == 2 and "did you mean 'alice'" in server.lines[-1]


def httpx_status(url: str, token: str) -> int:
    return ScriptedJudge(url, token).request("GET", f"/?t={token}").status_code


def test_files_edited_after_opening_are_refused(tmp_path):
    made = study(tmp_path, contexts=4)
    text = (made.path / "study.yaml").read_text()
    (made.path / "study.yaml").write_text(text.replace("judges_per_item: 3", "judges_per_item: 2"))
    with ServeProcess(made.path, "--port", "0") as server:  # before the first judge it may be edited
        assert server.url
    (made.path / "study.yaml").write_text(text)
    with ServeProcess(made.path, "--port", "0") as server:
        assert server.process.returncode == 2 and "study.yaml has changed since the first judge" in server.lines[-1]


def test_a_judge_sees_when_nothing_can_be_saved(tmp_path):
    made = study(tmp_path, contexts=4)
    with ServeProcess(made.path, "--port", "0", "--judge", "alice") as server:
        judge = ScriptedJudge(server.url, server.tokens["alice"])
        page = judge.open()
        with closing(sqlite3.connect(made.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # holds the lock for longer than the server waits
            token = re.search(r'name="token" value="([^"]+)"', page.text)[1]
            sent = {"token": token, "q0": "a", "q1": "same", "q2": "b"}
            response = judge.request("POST", "/answer", data=sent)
            assert response.status_code == 503 and "could not be saved" in response.text
            for name, value in sent.items():  # the form is kept
                assert f'name="{name}" value="{value}"' in response.text
            other.execute("ROLLBACK")
        assert judge.request("POST", "/answer", data=sent).status_code == 303
