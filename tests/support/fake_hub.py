"""A server that answers as the model hub does, and a process with nothing else that asks it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Hub:
    """`folder`/OWNER/NAME/REVISION/FILE served by the hub's protocol; `refusals` are answers instead of files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.refusals: dict[str, tuple[int, dict[str, str]]] = {}  # OWNER/NAME -> (status, headers)
        self.cut: set[str] = set()  # repositories whose weights break off in the middle
        self.asked: list[str] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    @staticmethod
    def commit(name: str, revision: str) -> str:
        return hashlib.sha1(f"{name}@{revision}".encode()).hexdigest()

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """(status, headers, body) of a GET."""
        parts = path.strip("/").split("/")
        api = parts[:2] == ["api", "models"]
        parts = parts[2:] if api else parts
        name = "/".join(parts[:2])
        if name in self.refusals and not api:
            return *self.refusals[name], b""
        if not (self.folder / name).is_dir():
            # without a token the hub does not tell a private model from none
            return 401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}, b""
        kind, revision, *rest = [*parts[2:], "revision", "main"][: max(2, len(parts) - 2)]
        commits = {self.commit(name, path.name): path.name for path in (self.folder / name).iterdir()}
        revision = commits.get(revision, revision)
        if not (self.folder / name / revision).is_dir():
            return 404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": f"Invalid rev id: {revision}"}, b""
        commit, found = self.commit(name, revision), (self.folder / name / revision).joinpath(*rest)
        if api and kind == "revision":
            answer = {"id": name, "modelId": name, "sha": commit, "siblings": [], "tags": []}
            return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()
        headers = {"X-Repo-Commit": commit}
        if kind != "resolve" or not found.is_file():
            return 404, headers | {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"}, b""
        body = found.read_bytes()
        return 200, headers | {"ETag": f'"{hashlib.sha256(body).hexdigest()}"'}, body

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                path = unquote(urlsplit(self.path).path)
                hub.asked.append(f"{self.command} {path}")
                status, headers, body = hub.answer(path)
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    broken = "/".join(path.split("/")[1:3]) in hub.cut and path.endswith(".safetensors")
                    self.wfile.write(body[: len(body) // 2] if broken else body)
                    self.close_connection = broken

            def log_message(self, *_) -> None:
                pass

        return Handler


# huggingface_hub reads its settings when it is imported, so that they need a process of their own
USER = """
import contextlib, hashlib, io, json, sys, time
from dialoeval.cli.main import main
from dialoeval.config import EngineConfig
from dialoeval import models
from dialoeval.models import hub

time.sleep = lambda seconds: None  # huggingface_hub waits between its attempts
answers, sys.stdout = sys.stdout, sys.stderr
for line in sys.stdin:
    ask = json.loads(line)
    if "endpoint" in ask:
        import huggingface_hub.constants
        huggingface_hub.constants.ENDPOINT = ask["endpoint"]
        hub.hub_answers.cache_clear()
        answer = {"hub_answers": hub.hub_answers()}
    elif "cli" in ask:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(ask["cli"])
        answer = {"code": code, "out": out.getvalue(), "err": err.getvalue()}
    else:
        err = io.StringIO()
        with contextlib.redirect_stderr(err), contextlib.redirect_stdout(err):
            try:
                if ask.pop("describe", False):
                    about, weights = models.describe_model(**{"revision": None, **ask}), None
                else:
                    settings = {"revision": None, "weights": None, "engine": EngineConfig(device="cpu")}
                    about = models.load_model(**settings | ask)
                    weights = about.model.get_input_embeddings().weight.detach().numpy().tobytes()
                answer = {"identity": about.identity.to_json(), "tokens": len(about.tokenizer), "window": about.window,
                          "fingerprint": weights and hashlib.sha256(weights).hexdigest()}
            except Exception as error:
                answer = {"error": str(error), "kind": type(error).__name__}
        answer["printed"] = err.getvalue()
    print(json.dumps(answer), file=answers, flush=True)
"""


class User:
    """A process that loads models from a `Hub`, with a cache of its own."""

    def __init__(self, hub: Hub, cache: Path) -> None:
        self.cache = cache
        unset = {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN", "HF_HUB_CACHE"}
        unset |= {key for key in os.environ if key.lower() in ("http_proxy", "https_proxy", "all_proxy")}
        environment = {key: value for key, value in os.environ.items() if key not in unset}
        environment |= {"HF_ENDPOINT": hub.address, "HF_HOME": str(cache), "HF_HUB_DISABLE_TELEMETRY": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, **what) -> dict:
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def refused(self, path: str, **settings) -> str:
        """The sentence with which `path` is refused."""
        answer = self.ask(path=path, **settings)
        assert answer.get("kind") == "UserError", answer
        assert answer["printed"] == "" and "\n" not in answer["error"], answer
        return answer["error"]

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
