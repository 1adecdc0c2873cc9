"""`dialoeval build sessions`, killed: the same call ends with the same bytes."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dialoeval.corpus.recipe import parse
from dialoeval.corpus.sessions import build_sessions
from tests.support.reddit import comment, submission, write_month

KILLS = 20


def dumps(folder: Path, threads: int) -> None:
    draw = random.Random(1)
    words = [f"w{draw.choice('abcdefghij') * draw.randint(1, 4)}" for _ in range(400)]
    for month in ("2011-01", "2011-02"):
        comments = []
        for thread in range(threads):
            names = [f"t3_{thread}"]
            for number in range(draw.randint(1, 12)):
                body = " ".join(draw.choices(words, k=draw.randint(2, 12)))
                comments.append(comment(f"{thread}-{number}", draw.choice(names), body, link_id=f"t3_{thread}"))
                names.append(f"t1_{thread}-{number}")
        write_month(folder, month, comments, [submission(str(thread)) for thread in range(threads)])


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def test_killed_at_random_moments(tmp_path):
    dumps(tmp_path, 800)
    call = [
        sys.executable,
        "-m",
        "dialoeval",
        "build",
        "sessions",
        "--dumps",
        str(tmp_path),
        "--months",
        "2011-01..2011-02",
    ]
    call += ["recipe=clean", "bland=3", "workers=2"]

    def start(name: str) -> subprocess.Popen[bytes]:
        null = subprocess.DEVNULL
        return subprocess.Popen([*call, "--out", str(tmp_path / name)], stdout=null, stderr=null)

    started = time.monotonic()
    assert start("whole").wait() == 0
    whole, expected = time.monotonic() - started, files(tmp_path / "whole")
    assert len(expected["rows.tsv"]) > 10_000
    draw, killed, folder = random.Random(), 0, 0
    while killed < KILLS:
        folder += 1
        for _ in range(4):
            process = start(f"out{folder}")
            try:
                assert process.wait(timeout=draw.uniform(0.1, whole)) == 0
                break
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                killed += 1
        assert start(f"out{folder}").wait() == 0
        assert files(tmp_path / f"out{folder}") == expected


@pytest.mark.parametrize("given", [["split=test"], ["recipe=clean", "bland=3", "scope=all"]])
def test_stopped_at_every_file_that_it_finishes(given, tmp_path, monkeypatch):
    import os

    dumps(tmp_path, 30)
    months, recipe = ["2011-01", "2011-02"], parse(given)
    build_sessions(tmp_path, months, tmp_path / "whole", recipe, workers=1, parts=1)
    expected = files(tmp_path / "whole")
    replace = os.replace
    for stop in range(1000):
        left = stop

        def stopping(source, target):
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
            replace(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", stopping)
            try:
                build_sessions(tmp_path, months, tmp_path / "out", recipe, workers=1, parts=3)
            except KeyboardInterrupt:
                if stop % 2:
                    continue  # goes on with what the earlier ones left, stopped again at the next file
            else:
                break
        build_sessions(tmp_path, months, tmp_path / "out", recipe, workers=1, parts=2)
        assert files(tmp_path / "out") == expected
        for path in (tmp_path / "out").iterdir():
            path.unlink()
    assert stop > 10
    assert files(tmp_path / "out") == expected


def test_the_number_of_workers_and_partitions_changes_no_byte(tmp_path):
    dumps(tmp_path, 60)
    results = []
    for workers, parts in ((1, 1), (1, 7), (3, 4)):
        out = tmp_path / f"{workers}-{parts}"
        build_sessions(tmp_path, ["2011-01", "2011-02"], out, parse(["split=test"]), workers=workers, parts=parts)
        results.append(files(out))
    assert results[0] == results[1] == results[2]
