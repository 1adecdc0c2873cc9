"""A client of the OpenAI chat-completions protocol: the key, retries, a rate limit, and the journal of answers."""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import json
import os
import random
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

from dialoeval.config import EngineConfig
from dialoeval.errors import UserError
from dialoeval.generation.engines.openai import answers
from dialoeval.generation.engines.openai.answers import Answer, ContextTooLong, Fault, Refused, Rejected, RejectsAll
from dialoeval.generation.engines.openai.journal import Journal
from dialoeval.generation.types import Candidate

_LONGEST_WAIT = 60.0  # seconds between two attempts
_DOUBTS = 3  # contexts that are rejected before any reply comes: then the fault is not the contexts'


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
        self.journal = Journal()
        self.stopped = threading.Event()  # once set, no request is sent and no thread waits
        self.failure: BaseException | None = None  # the first error of any request, which stops all others
        self.hear: Callable[[str], None] | None = None  # told the events of a stream so far
        self._replied = False  # whether any request of the run got a reply
        self._doubts: dict[str, Answer] = {}  # requests rejected before that, by key
        self._pace = _Pace(engine.requests_per_minute)
        self._lock = threading.Lock()

    def keep(self, journal: Journal) -> None:
        """Keep answers in a journal from now on, and use those that it has."""
        self.journal.close()
        self.journal, self._doubts = journal, {}
        self._replied = any(answer.status < 400 for answer in journal.answers.values())

    def stop(self, failure: BaseException | None = None) -> None:
        """Stop all requests of all threads, and store the first failure."""
        with self._lock:
            self.failure = self.failure or failure
        self.stopped.set()

    def restart(self) -> None:
        """Allow requests again."""
        self.failure = None
        self.stopped.clear()

    def post(self, body: dict[str, Any], key: str) -> list[Candidate]:
        """Return the candidates of the response, from the journal if it has the answer to this request.

        The request is retried after faults that may pass, after growing waits or those that the server asks for:
        408, 409, 425, 429, 5xx, broken connections, invalid JSON, responses without a choice, errors within a response
        of status 200.

        Args:
            body: the request.
            key: of everything that decides the reply.

        Raises:
            UserError: the server rejects the request, or all attempts failed.
            Refused: the server refuses to reply to this context.
            ContextTooLong, OneChoice, Unsupported: the server rejects the request's length or form.
            Stopped: the client was stopped.
        """
        kept = self.journal.answers.get(key)
        if kept is not None:
            try:
                return answers.candidates(kept, body)
            except Rejected as error:
                raise Refused(str(error)) from None
            except Fault:
                pass  # as if there were none
        reason = ""
        for attempt in range(self.engine.retries + 1):
            try:
                return self._attempt(body, key, attempt)
            except RejectsAll as error:
                raise self._rejection(str(error)) from None
            except _Waiting as error:
                reason = str(error)
                if attempt < self.engine.retries:
                    self.stopped.wait(error.seconds)
        raise UserError(f"{self.url} gave no answer after {attempt + 1} tries: {reason}")

    def check_replied(self) -> None:
        """Make sure that not every request was rejected.

        Raises:
            UserError: with the server's reason.
        """
        if not self._replied and self._doubts:
            raise self._rejection(_summary(next(iter(self._doubts.values()))))

    def without_key(self, text: str) -> str:
        """Return text without the key, which servers repeat in error texts that are written to files."""
        key = self._key()
        return text.replace(key, "***") if key else text

    def _attempt(self, body: dict[str, Any], key: str, attempt: int) -> list[Candidate]:
        """Send the request once, and keep an answer that decides it."""
        self._pace.wait(self.stopped)
        if self.stopped.is_set():
            raise Stopped
        with self._lock:
            self.requests += 1
            self.retried += attempt > 0
        wait = min(_LONGEST_WAIT, 0.5 * 2 ** (attempt + 1) * (1 + random.random() / 4))
        answer: Answer | None = None
        try:
            answer, header = self._send(json.dumps(body).encode("utf-8"))
            wait = _retry_after(header, wait)
            found = answers.candidates(answer, body)
        except (Refused, ContextTooLong):
            assert answer is not None
            self.journal.put(key, answer)
            raise
        except Rejected as error:
            assert answer is not None
            self._doubt(key, answer)
            raise Refused(str(error)) from None
        except (OSError, http.client.HTTPException, ValueError, Fault) as error:  # ValueError: not UTF-8
            kind = "" if isinstance(error, Fault) else f"{type(error).__name__}: "
            raise _Waiting(self.without_key(f"{kind}{error}")[:400], wait) from None
        self.journal.put(key, answer)
        self._trust()
        return found

    def _send(self, data: bytes) -> tuple[Answer, str | None]:
        """Return the response to a request, and its Retry-After header."""
        request = urllib.request.Request(self.url, data, self._headers())
        hear = self.hear  # of this request: after Ctrl-C its thread may read on while the next one is sent
        try:
            with _OPENER.open(request, timeout=self.engine.timeout) as response:
                stream = response.headers.get_content_type() == "text/event-stream"
                text = (self._listen(response, hear) if stream and hear else response.read()).decode("utf-8")
                # an error may repeat the key
                return Answer(response.status, text if '"choices"' in text else self.without_key(text), stream), None
        except urllib.error.HTTPError as error:
            return Answer(error.code, self.without_key(error.read().decode("utf-8", "replace"))), error.headers.get(
                "Retry-After"
            )

    def _listen(self, response: http.client.HTTPResponse, hear: Callable[[str], None]) -> bytes:
        """Return the body of a stream, and tell its events as they come."""
        body = b""
        for line in response:
            body += line
            if line.startswith(b"data:") and not self.stopped.is_set():
                with contextlib.suppress(ValueError, TypeError, AttributeError):  # damage is found at the end
                    hear(body.decode("utf-8"))
        return body

    def _doubt(self, key: str, answer: Answer) -> None:
        """Keep a rejection as one of its context, once there are replies to other contexts.

        Raises:
            UserError: there are none after several contexts.
        """
        with self._lock:
            if not self._replied:
                self._doubts[key] = answer
                if len(self._doubts) >= _DOUBTS:
                    raise self._rejection(_summary(answer))
                return
        self.journal.put(key, answer)

    def _trust(self) -> None:
        """Take earlier rejections as those of their contexts: another context got a reply."""
        with self._lock:
            doubts, self._doubts, self._replied = self._doubts, {}, True
        for key, answer in doubts.items():
            self.journal.put(key, answer)

    def _rejection(self, reason: str) -> UserError:
        hint = f" (is {self.engine.api_key_env} set?)" if reason.startswith(("HTTP 401", "HTTP 403")) else ""
        return UserError(f"{self.url} rejects the request: {self.without_key(reason)}{hint}")

    def _key(self) -> str:
        return os.environ.get(self.engine.api_key_env, "").strip()  # a key from a file may end with a line break

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if key := self._key():
            if not key.isascii() or not key.isprintable():
                raise UserError(f"{self.engine.api_key_env} contains characters that a key cannot have")
            headers["Authorization"] = f"Bearer {key}"
        return headers


class _Waiting(Exception):
    """An attempt failed, and another one may be made after some seconds."""

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(reason)
        self.seconds = seconds


def _summary(answer: Answer) -> str:
    return f"HTTP {answer.status}: {answer.text[:300]}"


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
