"""Runs of a server's model that are killed, interrupted and refused: no answer is paid for twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from support.chat_server import error, running

CONTEXTS, CONCURRENCY, KILLS = 40, 4, 20


@pytest.fixture
def server():
    with running() as started:
        yield started


def start(tmp_path, server, name="reports", contexts=CONTEXTS):
    data = tmp_path / "data.jsonl"
    rows = [{"context": ["hello", f"turn {i}"], "references": [f"turn {i} is good"]} for i in range(contexts)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = ["engine=openai", f"engine.base_url={server.url}", f"engine.concurrency={CONCURRENCY}", "model=tiny",
                "model.path=some-model", "dataset=file", f"dataset.path={data}", f"reports_dir={tmp_path / name}",
                "decoding=greedy", "scoring.meteor=false", "scoring.resamples=0"]  # fmt: skip
    command = [sys.executable, "-m", "dialoeval", "run", *settings]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def on_disk(tmp_path):
    """Return the contexts whose answers are on disk."""
    texts = set()
    for file in tmp_path.glob("reports/*/answers.partial.jsonl"):
        for line in file.read_bytes().split(b"\n")[:-1]:
            row = json.loads(line)
            if "text" in row:
                texts.add(json.loads(row["text"])["choices"][0]["message"]["content"].lower())
    return texts


def replies(tmp_path, name="reports"):
    (file,) = tmp_path.glob(f"{name}/*/replies.jsonl")
    return file.read_bytes()


@pytest.mark.slow
def test_kills_at_random_moments(tmp_path, server):
    """SIGKILL at 20 random moments; answers that are on disk are never asked for again."""
    draw, contexts = random.Random(0), 160
    server.seconds = lambda: draw.uniform(0.01, 0.08)
    for _ in range(KILLS):
        before, asked = sum(server.asked.values()), {text: server.asked[text] for text in on_disk(tmp_path)}
        process = start(tmp_path, server, contexts=contexts)
        until = time.monotonic() + 120
        while sum(server.asked.values()) == before and process.poll() is None and time.monotonic() < until:
            time.sleep(0.002)
        time.sleep(draw.uniform(0.0, 0.15))
        process.kill()
        output, _ = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, output
        assert all(server.asked[text] == count for text, count in asked.items())
    assert 0 < len(on_disk(tmp_path)) < contexts
    process = start(tmp_path, server, contexts=contexts)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert sum(server.asked.values()) <= contexts + KILLS * CONCURRENCY  # those in flight at a kill
    process = start(tmp_path, server, "undisturbed", contexts)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert replies(tmp_path) == replies(tmp_path, "undisturbed")
    assert not list(tmp_path.glob("reports/*/answers.partial.jsonl"))


def test_a_refused_context_and_a_failure_in_the_middle(tmp_path, server):
    """A run fails at one context; the next run asks only for what is missing, and records and counts a refusal."""
    broken = True

    def plan(body, before):
        text = body["messages"][-1]["content"]
        if text == "turn 5":
            return error(400, "filtered", code="content_filter")
        return error(401, "key expired") if text == "turn 20" and broken else None

    server.plan = plan
    process = start(tmp_path, server)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 2 and "key expired" in output and "Traceback" not in output
    broken = False
    process = start(tmp_path, server)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert {text: count for text, count in server.asked.items() if count > 1} == {"turn 20": 2}
    rows = [json.loads(line) for line in replies(tmp_path).splitlines()]
    refused = [row for row in rows if "refusal" in row]
    assert len(rows) == CONTEXTS and [row["refusal"] for row in refused] == ["content_filter: filtered"]
    assert refused[0]["reply"] == ""
    (scores,) = tmp_path.glob("reports/*/scores.json")
    assert '"refused_replies": 1' in scores.read_text()
    (report,) = tmp_path.glob("reports/*/report.md")
    assert "refused" in report.read_text()


def test_control_c_ends_within_a_second(tmp_path, server):
    server.seconds = lambda: 30.0
    process = start(tmp_path, server)
    until = time.monotonic() + 120
    while not server.bodies and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    output, _ = process.communicate(timeout=30)
    assert time.monotonic() - started < 3.0, "Ctrl-C waits for the server"  # a second, on a machine that is not busy
    assert process.returncode == 130 and "Traceback" not in output
