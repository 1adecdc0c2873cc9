"""The candidate source for servers with the OpenAI chat-completions protocol."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
from dialoeval.data.example import Example
from dialoeval.errors import UserError
from dialoeval.files import dumps
from dialoeval.generation import rng
from dialoeval.generation.engines.openai.client import Client, ContextTooLong, OneChoice, Stopped
from dialoeval.generation.prompts import chat_messages
from dialoeval.generation.types import Candidate, CandidateSet, GeneratorDescription

VERSION = 1


class OpenAiSource:
    """A `CandidateSource` over a chat-completions server, with several requests in flight."""

    def __init__(self, model: ModelConfig, engine: EngineConfig, client: Client) -> None:
        self.model, self.engine, self.client = model, engine, client
        self.one_choice = False  # whether the server returns only one choice per request

    def identity(self) -> dict[str, Any]:
        """Return the server's URL and the model's name, since the weights are unknown."""
        return {
            "engine": "openai",
            "engine_version": VERSION,
            "server": self.client.base_url,
            "model": self.model.path,
            "prompt": {"system_prompt": self.model.system_prompt, "max_turns": self.model.max_turns},
        }

    def describe(self) -> GeneratorDescription:
        """Return the server, the model and the number of requests."""
        settings = self.identity()
        counts = {"requests": self.client.requests, "retried": self.client.retried}
        return GeneratorDescription(engine=settings.pop("engine"), settings=settings, accounting={**counts})

    def chunk_size(self) -> int:
        """Return the number of contexts per chunk."""
        return self.engine.chunk or self.engine.concurrency * 4

    def prompt_length(self, example: Example, decoding: DecodingConfig) -> int:
        """Return the number of characters in a context."""
        return sum(map(len, example.context))

    def prompt_text(self, example: Example, decoding: DecodingConfig) -> str:
        """Return the messages of an example's request as JSON; the server makes the prompt of them."""
        return dumps(chat_messages(example.context, example.system or self.model.system_prompt))

    def candidates(self, examples: Sequence[Example], decoding: DecodingConfig, seed: int) -> Iterator[CandidateSet]:
        """Yield the candidates of each example, in order.

        Raises:
            UserError: the server rejects a request, cannot be reached, or its response is not a chat completion.
        """

        def answer(example: Example) -> CandidateSet:
            try:
                return self._example(example, decoding, rng.key(seed, example.id))
            except BaseException as error:
                if not isinstance(error, Stopped):
                    self.client.stop(error)  # stop all threads now, not when this result is read
                raise

        self.client.restart()
        pool = ThreadPoolExecutor(self.engine.concurrency)
        try:
            yield from pool.map(answer, examples)
        except Stopped:
            # Another thread's request failed: raise its error.
            raise self.client.failure or UserError("the requests were stopped") from None
        finally:
            self.client.stop()  # after an error or Ctrl-C, stop the retries and new requests of all threads
            pool.shutdown(cancel_futures=True)

    def close(self) -> None:
        """Do nothing: every request has its own connection."""

    def _example(self, example: Example, decoding: DecodingConfig, key: int) -> CandidateSet:
        """Return one example's candidates.

        If the server returns fewer choices than requested, the rest is requested again. If the context is too long, its
        oldest turn is dropped.
        """
        last, turns = self.model.max_turns, example.context
        turns = turns[-last:] if last > 0 else turns
        candidates: list[Candidate] = []
        while len(candidates) < decoding.num_candidates:
            try:
                answer = self.client.post(self._request(turns, example.system, decoding, key, len(candidates)))
            except ContextTooLong as error:
                if len(turns) < 2:
                    raise UserError(f"the last turn of example {example.id} alone is too long: {error}") from None
                turns = turns[1:]
            except OneChoice:
                self.one_choice = True
            else:
                candidates += self._choices(answer)
        dropped_turns = len(example.context) - len(turns)
        return CandidateSet(example.id, tuple(candidates[: decoding.num_candidates]), dropped_turns)

    def _request(
        self, turns: Sequence[str], system: str | None, decoding: DecodingConfig, key: int, count: int
    ) -> dict[str, Any]:
        """Return the request for the candidates that are missing after `count` of them."""
        sampling = decoding.strategy == "sample"
        body = {
            "model": self.model.path,
            "messages": chat_messages(turns, system or self.model.system_prompt),
            "max_tokens": decoding.max_new_tokens,
            "temperature": decoding.temperature if sampling else 0.0,
            "top_p": decoding.top_p if sampling else 1.0,
            "n": 1 if self.one_choice else decoding.num_candidates - count,
        }
        if sampling:
            body["seed"] = (key + count) % (1 << 31)
        if decoding.rerank == "mmi" and decoding.mmi_lambda < 1:
            body["logprobs"] = True
        return body

    def _choices(self, answer: Any) -> list[Candidate]:
        """Return the choices of a chat completion, at least one.

        Raises:
            UserError: the response is not a chat completion.
        """
        try:
            candidates = [_candidate(choice) for choice in answer["choices"]]
            count = (answer.get("usage") or {}).get("completion_tokens")  # the sum over all choices
            if count and len(candidates) == 1 and candidates[0].logprob is None:
                candidates[0] = replace(candidates[0], tokens=int(count))
            if candidates:
                return candidates
            problem = "no choices"
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            problem = f"{type(error).__name__}: {error}"
        detail = self.client.without_key(f"({problem}): {answer}")[:300]
        raise UserError(f"the response of {self.engine.base_url} is not a chat completion {detail}")


def _candidate(choice: dict[str, Any]) -> Candidate:
    """Return the candidate of one choice; without log-probabilities its number of tokens is its number of words."""
    text = choice["message"]["content"] or ""
    steps = (choice.get("logprobs") or {}).get("content")
    finish = "length" if choice.get("finish_reason") == "length" else "stop"
    if steps is None:
        return Candidate.of(text, len(text.split()), None, finish)
    logprob = sum(float(step["logprob"]) for step in steps)
    if not math.isfinite(logprob):
        raise ValueError("a log-probability that is not finite")
    return Candidate.of(text, len(steps), logprob, finish, scored_tokens=len(steps))
