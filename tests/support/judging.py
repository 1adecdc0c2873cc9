"""Studies of made-up runs, a real server process, and scripted judges who read its pages over HTTP."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx

from dialoeval.config import ProtocolConfig
from dialoeval.judging.items import Study
from dialoeval.judging.new import Options, make_study
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.reader import load_run
from support.report_runs import examples, replies, write_run

ROOT = Path(__file__).resolve().parents[2]
HELD_OUT = ProtocolConfig(name="held", held_out=1)


def runs(folder: Path, n: int = 40, said: dict[str, list[str]] | None = None):
    """{system: its loaded run} of two systems over the same n examples, whose protocol holds the human reply out."""
    data = examples(n, references=3)
    said = said or {"zebrafinch": replies(data, 1), "quokkamodel": replies(data, 2)}
    for name, texts in said.items():
        if not (folder / f"run-{name}").exists():
            write_run(folder, data, texts, name=f"run-{name}", model=name, protocol=HELD_OUT)
    return {name: load_run(RunFolder(folder / f"run-{name}")) for name in said}


def study(folder: Path, n: int = 40, options: Options | None = None, name: str = "study", **more) -> Study:
    """A study of those runs in `folder`/studies/`name`."""
    options = options or Options(**{"contexts": 10, **more})
    return make_study(runs(folder / "reports", n), options, folder / "studies" / name, folder / "studies")


class ServeProcess:
    """`dialoeval judge serve` as a process of its own."""

    def __init__(self, path: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "dialoeval", "judge", "serve", str(path), *arguments]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        self.tokens: dict[str, str] = {}
        self.lines: list[str] = []
        self.url = self.organiser = ""
        for line in self.process.stdout:
            self.lines.append(line)
            if match := re.match(r"(\S+)  (http://\S+?)/(organiser)?\?t=(\S+)", line):
                if match[3]:
                    self.organiser = match[4]
                else:
                    self.tokens[match[1]] = match[4]
            if match := re.match(r"serving (\S+) ", line):
                self.url = match[1]
                break
        else:
            self.process.wait()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> str:
        """Ctrl-C; returns the rest of the output."""
        self.process.send_signal(signal.SIGINT)
        rest = self.process.communicate(timeout=30)[0]
        assert self.process.returncode == 0, rest
        return rest

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.kill()
        self.process.stdout.close()


CLIENTS: list[httpx.Client] = []  # closed by the fixture of the tests


class Gone(Exception):
    """The server died."""


class ScriptedJudge:
    """Reads pages and answers; `acknowledged` holds (token, {field: value}) of every confirmed answer."""

    def __init__(self, url: str, token: str, seen: list[bytes] | None = None) -> None:
        self.url, self.token, self.seen = url, token, seen
        self.client = httpx.Client(timeout=20, trust_env=False)
        CLIENTS.append(self.client)
        self.acknowledged: list[tuple[str, dict[str, str]]] = []

    def request(self, method: str, path: str, **more) -> httpx.Response:
        try:
            response = self.client.request(method, self.url + path, **more)
        except httpx.HTTPError as error:
            raise Gone from error
        if self.seen is not None:
            self.seen.append(bytes(str(response.headers.raw), "utf-8") + response.content)
        return response

    def open(self) -> httpx.Response:
        if not list(self.client.cookies.jar):
            response = self.request("GET", f"/?t={self.token}")
            assert response.status_code == 303, response.text
        return self.request("GET", "/")

    def step(self, page: httpx.Response | None = None, value=lambda i: i % 3) -> bool:
        """Answer one item; returns False if nothing is left."""
        page = page or self.open()
        assert page.status_code == 200, (page.status_code, page.text)
        token = re.search(r'name="token" value="([^"]+)"', page.text)
        if token is None:
            assert "Thank you" in page.text
            return False
        fields = sorted(set(re.findall(r'name="(q\d+)"', page.text)))
        options = re.findall(r'name="q0" [^>]*value="([^"]+)"', page.text)
        answers = {field: options[value(i) % len(options)] for i, field in enumerate(fields)}
        done = self.request("POST", "/answer", data={"token": token[1], **answers})
        assert done.status_code == 303, (done.status_code, done.text)
        self.acknowledged.append((token[1], answers))
        return True

    def run(self, most: int = 10_000) -> None:
        """Judge until nothing is left or the server is gone."""
        with contextlib.suppress(Gone):
            for _ in range(most):
                if not self.step():
                    return


def together(judges: list[ScriptedJudge], most: int = 10_000) -> list[threading.Thread]:
    """Start all judges at once."""
    threads = [threading.Thread(target=judge.run, args=(most,), daemon=True) for judge in judges]
    for thread in threads:
        thread.start()
    return threads
