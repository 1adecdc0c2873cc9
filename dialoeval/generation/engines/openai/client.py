"""A client of the OpenAI chat-completions protocol: the key, retries, a rate limit and errors."""

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

_LONGEST_WAIT = 60.0  # seconds between two attempts
# Error texts for a context that exceeds the context length: OpenAI's code; vLLM, older and newer; llama.cpp.
_TOO_LONG = (
    "context_length_exceeded",
    "maximum context length",
    "maximum input length",
    "exceed_context_size",
    "exceeds the available context",
)
# Error texts of servers that return only one choice per request.
_ONE_CHOICE = re.compile(r"one completion choice|\bn\b\W+(must be|should be|only supports) 1\b", re.IGNORECASE)


class ContextTooLong(Exception):
    """The conversation exceeds the context length of the server's model."""


class OneChoice(Exception):
    """The server returns only one choice per request, and the request was for more."""


class Stopped(Exception):
    """The client was stopped before this request was sent, or during the wait for a retry."""


class Client:
    """A client for ``POST {base_url}/chat/completions``, for several threads at once.

    The key is read from the environment (``engine.api_key_env``) for each request. It is never written, and it is
    removed from the server's error texts.

    Args:
        engine: base_url, api_key_env, requests_per_minute, timeout, retries.

    Raises:
        UserError: ``engine.base_url`` is missing, is not a URL, or contains a password.
    """

    def __init__(self, engine: EngineConfig) -> None:
        self.engine = engine
        self.base_url = check_address(engine.base_url)
        self.url = f"{self.base_url}/chat/completions"
        self.requests = self.retried = 0
        self.stopped = threading.Event()  # once set, no request is sent and no thread waits
        self.failure: BaseException | None = None  # the first error of any request, which stops all others
        self._pace = _Pace(engine.requests_per_minute)
        self._lock = threading.Lock()

    def stop(self, failure: BaseException | None = None) -> None:
        """Stop all requests of all threads, and store the first failure."""
        with self._lock:
            self.failure = self.failure or failure
        self.stopped.set()

    def restart(self) -> None:
        """Allow requests again."""
        self.failure = None
        self.stopped.clear()

    def post(self, body: dict[str, Any]) -> Any:
        """Return the JSON of the response.

        The request is retried after 408, 409, 429, 5xx, broken connections and invalid JSON, after growing waits or
        those that the server asks for.

        Raises:
            UserError: the server rejects the request, or all attempts failed.
            ContextTooLong: the server rejects the length of the conversation.
            OneChoice: the server rejects more than one choice.
            Stopped: the client was stopped.
        """
        data = json.dumps(body).encode("utf-8")
        reason = ""
        for attempt in range(self.engine.retries + 1):
            self._pace.wait(self.stopped)
            if self.stopped.is_set():
                raise Stopped
            with self._lock:
                self.requests += 1
                self.retried += attempt > 0
            wait = min(_LONGEST_WAIT, 0.5 * 2 ** (attempt + 1) * (1 + random.random() / 4))
            try:
                request = urllib.request.Request(self.url, data, self._headers())
                with _OPENER.open(request, timeout=self.engine.timeout) as response:
                    return json.loads(response.read())
            except urllib.error.HTTPError as error:
                text = self.without_key(_text(error))
                reason = f"HTTP {error.code}: {text[:300]}"
                self._check_refusal(error.code, text, reason, body)
                wait = _retry_after(error.headers.get("Retry-After"), wait)
            except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: invalid JSON
                reason = self.without_key(f"{type(error).__name__}: {error}")[:300]
            if attempt < self.engine.retries:
                self.stopped.wait(wait)
                if self.stopped.is_set():
                    raise Stopped
        raise UserError(f"{self.url} gave no answer after {attempt + 1} tries: {reason}")

    def without_key(self, text: str) -> str:
        """Return text without the key, which servers repeat in error texts that are written to files."""
        key = self._key()
        return text.replace(key, "***") if key else text

    def _check_refusal(self, status: int, text: str, reason: str, body: dict[str, Any]) -> None:
        """Raise the exception for an error response, or return if the request can be retried."""
        if status in (400, 413, 422) and any(sign in text for sign in _TOO_LONG):
            raise ContextTooLong(reason) from None
        if body["n"] > 1 and _ONE_CHOICE.search(text):
            raise OneChoice(reason) from None
        if status not in (408, 409, 429) and status < 500:
            hint = f" (is {self.engine.api_key_env} set?)" if status in (401, 403) else ""
            raise UserError(f"{self.url} rejects the request: {reason}{hint}") from None

    def _key(self) -> str:
        return os.environ.get(self.engine.api_key_env, "").strip()  # a key from a file may end with a line break

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if key := self._key():
            if not key.isascii() or not key.isprintable():
                raise UserError(f"{self.engine.api_key_env} contains characters that a key cannot have")
            headers["Authorization"] = f"Bearer {key}"
        return headers


def check_address(url: str | None) -> str:
    """Return the URL of a server without a slash at its end.

    Raises:
        UserError: the URL is missing, is not an http:// or https:// URL, or contains a password.
    """
    if not url:
        raise UserError("engine=openai needs engine.base_url=URL (such as http://localhost:8000/v1)")
    try:
        parts = urllib.parse.urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if valid and "@" in parts.netloc:
        raise UserError("engine.base_url must not contain a password: it is written to files (see engine.api_key_env)")
    if not valid:
        raise UserError(f"engine.base_url={url} is not an http:// or https:// URL")
    return url.rstrip("/")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A handler that rejects redirects, which would send the key to another server."""

    def redirect_request(self, *arguments: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


class _Pace:
    """A rate limit in requests per minute, over all threads and with equal gaps."""

    def __init__(self, per_minute: int) -> None:
        self.gap = 60.0 / per_minute if per_minute > 0 else 0.0
        self.next = 0.0
        self.lock = threading.Lock()

    def wait(self, stopped: threading.Event) -> None:
        """Wait for this thread's turn, or until `stopped` is set."""
        if not self.gap:
            return
        with self.lock:
            now = time.monotonic()
            start = max(now, self.next)
            self.next = start + self.gap
        stopped.wait(start - now)


def _text(error: urllib.error.HTTPError) -> str:
    """Return the body of an error response, or "" if the connection breaks."""
    try:
        return error.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return ""


def _retry_after(header: str | None, otherwise: float) -> float:
    """Return the wait in seconds from a Retry-After header, which is a number or a date."""
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
