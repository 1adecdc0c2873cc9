"""A local chat-completions server that counts what it was asked, and misbehaves as planned."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Response = tuple[int, dict[str, str], bytes]
RESET, CUT = "reset", "cut"  # the connection is reset; the body ends in the middle


class ChatServer(ThreadingHTTPServer):
    """A server that replies with the last message in capitals.

    Attributes:
        plan: (request, how often this context came before) -> a response, `RESET`, `CUT`, or None for a reply.
        bodies: requests in the order in which they came.
        asked: number of requests by their last message.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.plan: Callable[[dict[str, Any], int], Response | str | None] = lambda body, before: None
        self.seconds: Callable[[], float] = lambda: 0.0
        self.bodies: list[dict[str, Any]] = []
        self.asked: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do nothing: clients are killed in the middle of requests."""


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = body["messages"][-1]["content"]
        with self.server.lock:
            before = self.server.asked[text]
            self.server.asked[text] += 1
            self.server.bodies.append(body)
        planned = self.server.plan(body, before)
        time.sleep(self.server.seconds())
        if planned == RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        status, headers, data = completion(text.upper()) if planned is None or planned == CUT else planned
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if planned == CUT else data)

    def log_message(self, *arguments: Any) -> None:
        pass


def completion(content: Any, finish: str | None = "stop", **message: Any) -> Response:
    """Return a chat completion with one choice."""
    choice = {"message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}
    return answer({"choices": [choice], "usage": {"completion_tokens": 2}})


def answer(value: Any, status: int = 200, **headers: str) -> Response:
    """Return a response with a JSON body."""
    return status, {"Content-Type": "application/json", **headers}, json.dumps(value).encode()


def error(status: int, message: str, **fields: Any) -> Response:
    """Return an error as OpenAI's servers write it, after which another try may follow at once."""
    return answer({"error": {"message": message, **fields}}, status, **{"Retry-After": "0"})


@contextlib.contextmanager
def running() -> Iterator[ChatServer]:
    """Run a server in a thread."""
    with ChatServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
