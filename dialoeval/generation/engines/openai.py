"""Any server that speaks the OpenAI chat-completions protocol."""

from __future__ import annotations

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
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
from dialoeval.data.example import Example
from dialoeval.errors import UserError
from dialoeval.generation import noise
from dialoeval.generation.prompts import chat_messages
from dialoeval.generation.rerank import Reranker, open_reranker
from dialoeval.generation.types import Candidate, Reply

VERSION = 1
_LONGEST_WAIT = 60.0  # seconds between two tries
# What servers say of a context that exceeds the window: OpenAI's code; the words of vLLM, of llama.cpp.
_TOO_LONG = (
    "context_length_exceeded",
    "maximum context length",
    "exceed_context_size",
    "exceeds the available context",
)


def open(model: ModelConfig, engine: EngineConfig, decoding: DecodingConfig) -> OpenAiGenerator:
    """A generator over a server.

    Raises:
        UserError: no server named, or a decoding that the protocol has no words for.
    """
    if not engine.base_url:
        raise UserError("engine=openai needs engine.base_url=URL (such as http://localhost:8000/v1)")
    if "@" in urllib.parse.urlsplit(engine.base_url).netloc:
        raise UserError("engine.base_url must hold no password: it is written to files (see engine.api_key_env)")
    if not engine.base_url.startswith(("http://", "https://")):
        raise UserError(f"engine.base_url={engine.base_url} is not an http:// or https:// address")
    unknown = {
        "top_k": decoding.top_k > 0,
        "typical_p": decoding.typical_p < 1,
        "min_p": decoding.min_p > 0,
        "repetition_penalty": decoding.repetition_penalty != 1,
        "no_repeat_ngram_size": decoding.no_repeat_ngram_size > 0,
        "min_new_tokens": decoding.min_new_tokens > 0,
    }
    for name, used in unknown.items():
        if used:
            raise UserError(f"engine=openai has no decoding.{name}: the protocol knows temperature and top_p only")
    if decoding.strategy == "beam":
        raise UserError("engine=openai knows greedy and sampling only: no beams")
    return OpenAiGenerator(model, engine, open_reranker(model, engine, decoding))


class OpenAiGenerator:
    """A `Generator` over ``POST {base_url}/chat/completions``: retries, a rate limit, several requests in flight.

    The key is read from the environment (``engine.api_key_env``) for each request and written nowhere.
    """

    def __init__(self, model: ModelConfig, engine: EngineConfig, reranker: Reranker | None = None) -> None:
        self.model, self.engine, self.reranker = model, engine, reranker
        self.pace = _Pace(engine.requests_per_minute)
        self.requests = self.retried = 0
        self.stopped = threading.Event()
        self.counting = threading.Lock()

    def identity(self) -> dict[str, Any]:
        """The server and model by name: what weights they stand for, only the server knows."""
        return {
            "engine": "openai",
            "engine_version": VERSION,
            "server": self.engine.base_url.rstrip("/"),
            "model": self.model.path,
            "prompt": {"system_prompt": self.model.system_prompt, "max_turns": self.model.max_turns},
            **({"reranker": self.reranker.identity()} if self.reranker else {}),
        }

    def describe(self) -> dict[str, Any]:
        return {**self.identity(), "accounting": {"requests": self.requests, "retried": self.retried}} | (
            {"reranker": self.reranker.describe()} if self.reranker else {}
        )

    def chunk_size(self) -> int:
        return self.engine.chunk or self.engine.concurrency * 4

    def reply(self, examples: Sequence[Example], decoding: DecodingConfig, seed: int) -> Iterator[Reply]:
        """Yield one reply an example, as they come.

        Raises:
            UserError: the server refuses, cannot be reached after all retries, or answers what is not a completion.
        """
        pool = ThreadPoolExecutor(self.engine.concurrency)
        try:
            answers = pool.map(lambda example: self._one(example, decoding, seed), examples)
            if self.reranker is None:
                for example, (candidates, dropped) in zip(examples, answers, strict=True):
                    yield Reply.of(example.id, candidates[0], dropped)
            else:
                candidates, dropped = zip(*answers, strict=True)
                yield from self.reranker.replies(examples, candidates, dropped, decoding)
        finally:
            self.stopped.set()  # after an error or Ctrl-C nobody waits for retries, and nothing new is sent
            pool.shutdown(cancel_futures=True)
            self.stopped.clear()

    def close(self) -> None:
        """Nothing is held open."""

    def _one(self, example: Example, decoding: DecodingConfig, seed: int) -> tuple[list[Candidate], int]:
        """(the example's candidates, turns left out of its context).

        A server that gives fewer choices than it is asked for is asked again for the rest.
        """
        last, turns = self.model.max_turns, example.context
        turns = turns[-last:] if last > 0 else turns
        candidates: list[Candidate] = []
        while len(candidates) < decoding.num_candidates:
            body = self._body(turns, decoding, noise.key(seed, example.id), len(candidates))
            try:
                answer = self._post(body)
            except _ContextTooLong as error:
                if len(turns) < 2:
                    raise UserError(f"the last turn of example {example.id} alone is too long: {error}") from None
                turns = turns[1:]  # the oldest one
                continue
            candidates += self._candidates(answer)
        return candidates[: decoding.num_candidates], len(example.context) - len(turns)

    def _body(self, turns: Sequence[str], decoding: DecodingConfig, key: int, made: int) -> dict[str, Any]:
        """A request for the candidates that are still lacking after `made` of them."""
        sampling = decoding.strategy == "sample"
        body = {
            "model": self.model.path,
            "messages": chat_messages(turns, self.model.system_prompt),
            "max_tokens": decoding.max_new_tokens,
            "temperature": decoding.temperature if sampling else 0.0,
            "top_p": decoding.top_p if sampling else 1.0,
            "n": decoding.num_candidates - made,
        }
        if sampling:
            body["seed"] = (key + made) % (1 << 31)
        if decoding.rerank == "mmi" and decoding.mmi_lambda < 1:
            body["logprobs"] = True
        return body

    def _candidates(self, answer: Any) -> list[Candidate]:
        """The choices of a chat completion, at least one."""
        try:
            choices = answer["choices"]
            found = [_candidate(choice) for choice in choices]
            if len(found) == 1 and (counted := (answer.get("usage") or {}).get("completion_tokens")):
                found[0] = replace(found[0], tokens=int(counted))  # of several choices it is the sum
            if found:
                return found
            problem = "no choices"
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            problem = f"{type(error).__name__}: {error}"
        raise UserError(
            f"{self.engine.base_url} answered what is not a chat completion ({problem}): {str(answer)[:200]}"
        )

    def _post(self, body: dict[str, Any]) -> Any:
        """Send, and send again after 408, 409, 429, 5xx and broken connections, ever later, as the server asks."""
        url = self.engine.base_url.rstrip("/") + "/chat/completions"
        data = json.dumps(body).encode("utf-8")
        reason = ""
        for attempt in range(self.engine.retries + 1):
            if attempt:
                with self.counting:
                    self.retried += 1
            self.pace.wait()
            wait = min(_LONGEST_WAIT, 0.5 * 2**attempt * (1 + random.random() / 4))
            try:
                with self.counting:
                    self.requests += 1
                request = urllib.request.Request(url, data, self._headers())
                with _OPENER.open(request, timeout=self.engine.timeout) as response:
                    return json.loads(response.read())
            except urllib.error.HTTPError as error:
                reason = f"HTTP {error.code}: {error.read()[:300].decode('utf-8', 'replace')}"
                if error.code in (400, 413) and any(sign in reason for sign in _TOO_LONG):
                    raise _ContextTooLong(self._without_key(reason)) from None
                if error.code not in (408, 409, 429) and error.code < 500:
                    hint = f" (is {self.engine.api_key_env} set?)" if error.code in (401, 403) else ""
                    raise UserError(f"{url} refuses the request: {self._without_key(reason)}{hint}") from None
                wait = _retry_after(error.headers.get("Retry-After"), wait)
            except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: what came is not JSON
                reason = f"{type(error).__name__}: {error}"
            if attempt < self.engine.retries:
                self.stopped.wait(wait)
            if self.stopped.is_set():
                break
        raise UserError(f"{url} gave no answer after {attempt + 1} tries: {self._without_key(reason)}")

    def _without_key(self, text: str) -> str:
        """Servers repeat keys in their complaints; errors are written to files."""
        key = os.environ.get(self.engine.api_key_env)
        return text.replace(key, "***") if key else text

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(self.engine.api_key_env):
            headers["Authorization"] = f"Bearer {key}"
        return headers


def _candidate(choice: dict[str, Any]) -> Candidate:
    """A choice of a chat completion; its tokens are counted in its log-probabilities, else as words."""
    text = choice["message"]["content"] or ""
    steps = (choice.get("logprobs") or {}).get("content")
    logprob = None if steps is None else round(sum(float(step["logprob"]) for step in steps), 4)
    tokens = len(text.split()) if steps is None else len(steps)
    finish = "length" if choice.get("finish_reason") == "length" else "stop"
    return Candidate(" ".join(text.split()), tokens, logprob, finish)


class _ContextTooLong(Exception):
    """The server says that the conversation does not fit its model's window."""


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

    def wait(self) -> None:
        if not self.gap:
            return
        with self.lock:
            now = time.monotonic()
            start = max(now, self.next)
            self.next = start + self.gap
        time.sleep(start - now)


def _retry_after(header: str | None, otherwise: float) -> float:
    """Seconds that a Retry-After header asks for: a number, or a date."""
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
