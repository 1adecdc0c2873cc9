"""A client of the OpenAI chat-completions protocol: retries, a rate limit, the key, what refusals mean."""

from __future__ import annotations

import email.utils
import http.client
import json
import os
import random
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from dialoeval.config import EngineConfig
from dialoeval.errors import UserError

_LONGEST_WAIT = 60.0  # seconds between two tries
# What servers say of a context that exceeds the window: OpenAI's code; the words of vLLM, older and newer; llama.cpp's.
_TOO_LONG = (
    "context_length_exceeded",
    "maximum context length",
    "maximum input length",
    "exceed_context_size",
    "exceeds the available context",
)
# What servers that make one choice a request say of another number.
_ONE_CHOICE = re.compile(r"one completion choice|\bn\b\W+(must be|should be|only supports) 1\b", re.IGNORECASE)


class ContextTooLong(Exception):
    """The server says that the conversation does not fit its model's window."""


class OneChoice(Exception):
    """The server makes one choice a request, and was asked for more."""


class Stopped(Exception):
    """The client was stopped before this request was sent, or while it waited for another try."""


class Client:
    """Sends ``POST {base_url}/chat/completions``, from several threads at once.

    The key is read from the environment (``engine.api_key_env``) for each request and written nowhere: it is taken out
    of whatever the server says.

    Args:
        engine: base_url, api_key_env, requests_per_minute, timeout, retries.

    Raises:
        UserError: ``engine.base_url`` is missing, is not an address, or holds a password.
    """

    def __init__(self, engine: EngineConfig) -> None:
        self.engine = engine
        self.base_url = check_address(engine.base_url)
        self.url = f"{self.base_url}/chat/completions"
        self.requests = self.retried = 0
        self.stopped = threading.Event()  # set: no request is sent, no thread waits
        self.failure: BaseException | None = None  # the first error of any request, which stopped all others
        self._pace = _Pace(engine.requests_per_minute)
        self._counting = threading.Lock()

    def stop(self, failure: BaseException | None = None) -> None:
        """Send nothing more, from any thread. Of several failures the first is kept."""
        with self._counting:
            self.failure = self.failure or failure
        self.stopped.set()

    def restart(self) -> None:
        """Send requests again."""
        self.failure = None
        self.stopped.clear()

    def post(self, body: dict[str, Any]) -> Any:
        """Return the answer's JSON. The request is sent again after 408, 409, 429, 5xx, broken connections and what is
        not JSON, ever later, as the server asks.

        Raises:
            UserError: refused, or no answer after all tries.
            ContextTooLong, OneChoice: refused for that reason.
            Stopped: see `stopped`.
        """
        data = json.dumps(body).encode("utf-8")
        reason = ""
        for attempt in range(self.engine.retries + 1):
            self._pace.wait(self.stopped)
            if self.stopped.is_set():
                raise Stopped
            with self._counting:
                self.requests += 1
                self.retried += attempt > 0
            wait = min(_LONGEST_WAIT, 0.5 * 2 ** (attempt + 1) * (1 + random.random() / 4))
            try:
                request = urllib.request.Request(self.url, data, self._headers())
                with _OPENER.open(request, timeout=self.engine.timeout) as response:
                    return json.loads(response.read())
            except urllib.error.HTTPError as error:
                told = self.without_key(_text(error))
                reason = f"HTTP {error.code}: {told[:300]}"
                self._refusal(error.code, told, reason, body)
                wait = _retry_after(error.headers.get("Retry-After"), wait)
            except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: what came is not JSON
                reason = self.without_key(f"{type(error).__name__}: {error}")[:300]
            if attempt < self.engine.retries:
                self.stopped.wait(wait)
                if self.stopped.is_set():
                    raise Stopped
        raise UserError(f"{self.url} gave no answer after {attempt + 1} tries: {reason}")

    def without_key(self, text: str) -> str:
        """Return text without the key: servers repeat it in their complaints, and errors are written to files."""
        key = self._key()
        return text.replace(key, "***") if key else text

    def _refusal(self, status: int, told: str, reason: str, body: dict[str, Any]) -> None:
        """Raise what a refusal means; return where the request is worth another try."""
        if status in (400, 413, 422) and any(sign in told for sign in _TOO_LONG):
            raise ContextTooLong(reason) from None
        if body["n"] > 1 and _ONE_CHOICE.search(told):
            raise OneChoice(reason) from None
        if status not in (408, 409, 429) and status < 500:
            hint = f" (is {self.engine.api_key_env} set?)" if status in (401, 403) else ""
            raise UserError(f"{self.url} refuses the request: {reason}{hint}") from None

    def _key(self) -> str:
        return os.environ.get(self.engine.api_key_env, "").strip()  # a line of a file may have brought its end along

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if key := self._key():
            if not key.isascii() or not key.isprintable():
                raise UserError(f"{self.engine.api_key_env} holds characters that cannot stand in a key")
            headers["Authorization"] = f"Bearer {key}"
        return headers


def check_address(url: str | None) -> str:
    """Return the address of a server without a slash at its end.

    Raises:
        UserError: it is missing, is not an address, or holds a password.
    """
    if not url:
        raise UserError("engine=openai needs engine.base_url=URL (such as http://localhost:8000/v1)")
    try:
        parts = urllib.parse.urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if valid and "@" in parts.netloc:
        raise UserError("engine.base_url must hold no password: it is written to files (see engine.api_key_env)")
    if not valid:
        raise UserError(f"engine.base_url={url} is not an http:// or https:// address")
    return url.rstrip("/")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another server: it is an error instead."""

    def redirect_request(self, *arguments: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


class _Pace:
    """At most so many requests a minute, spread evenly over all threads."""

    def __init__(self, per_minute: int) -> None:
        self.gap = 60.0 / per_minute if per_minute > 0 else 0.0
        self.next = 0.0
        self.lock = threading.Lock()

    def wait(self, stopped: threading.Event) -> None:
        """Wait until it is this thread's turn, or `stopped` is set."""
        if not self.gap:
            return
        with self.lock:
            now = time.monotonic()
            start = max(now, self.next)
            self.next = start + self.gap
        stopped.wait(start - now)


def _text(error: urllib.error.HTTPError) -> str:
    """Return what a refusal says, as far as it arrives."""
    try:
        return error.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return ""


def _retry_after(header: str | None, otherwise: float) -> float:
    """Return the seconds that a Retry-After header, a number or a date, asks for."""
    if not header:
        return otherwise
    try:
        return min(_LONGEST_WAIT, max(0.0, float(header)))
    except ValueError:
        pass
    try:
        until = email.utils.parsedate_to_datetime(header).timestamp()
    except ValueError:
        return otherwise
    return min(_LONGEST_WAIT, max(0.0, until - time.time()))
