"""Any server that speaks the OpenAI chat-completions protocol."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
from dialoeval.data.example import Example
from dialoeval.errors import UserError
from dialoeval.generation import rng
from dialoeval.generation.engines.openai.client import ContextTooLong, OneChoice, Server, Stopped, check_address
from dialoeval.generation.prompts import chat_messages
from dialoeval.generation.rerank import Reranker, open_reranker
from dialoeval.generation.types import Candidate, Reply

VERSION = 1


def open(model: ModelConfig, engine: EngineConfig, decoding: DecodingConfig) -> OpenAiGenerator:
    """A generator over a server.

    Raises:
        UserError: no server named, or a decoding that the protocol has no words for.
    """
    check_address(engine.base_url)
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
    """A `Generator` over a chat-completions server, with several requests in flight; see `generation.server`."""

    def __init__(self, model: ModelConfig, engine: EngineConfig, reranker: Reranker | None = None) -> None:
        self.model, self.engine, self.reranker = model, engine, reranker
        self.server = Server(engine)
        self.one_choice = False  # the server refuses to make several choices a request

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
        counts = {"requests": self.server.requests, "retried": self.server.retried}
        reranker = {"reranker": self.reranker.describe()} if self.reranker else {}
        return {**self.identity(), "accounting": counts, **reranker}

    def chunk_size(self) -> int:
        return self.engine.chunk or self.engine.concurrency * 4

    def reply(self, examples: Sequence[Example], decoding: DecodingConfig, seed: int) -> Iterator[Reply]:
        """Yield one reply an example, as they come; where they are reranked, all at the end.

        Raises:
            UserError: the server refuses, cannot be reached after all retries, or answers what is not a completion.
        """
        self.server.restart()
        pool = ThreadPoolExecutor(self.engine.concurrency)
        try:
            answers = pool.map(lambda example: self._answer(example, decoding, seed), examples)
            if self.reranker is None:
                for example, (candidates, dropped) in zip(examples, answers, strict=True):
                    yield Reply.of(example.id, candidates[0], dropped)
            else:
                candidates, dropped = zip(*answers, strict=True)
                yield from self.reranker.replies(examples, candidates, dropped, decoding)
        except Stopped:
            # Another thread's request failed: its error is what the caller must see.
            raise self.server.failure or UserError("the requests were stopped") from None
        finally:
            self.server.stop()  # after an error or Ctrl-C no thread waits for a retry, and nothing new is sent
            pool.shutdown(cancel_futures=True)

    def close(self) -> None:
        """Nothing is held open."""

    def _answer(self, example: Example, decoding: DecodingConfig, seed: int) -> tuple[list[Candidate], int]:
        """`_one`; its error stops the requests of all threads at once, not when its turn comes to be read."""
        try:
            return self._one(example, decoding, seed)
        except Stopped:
            raise
        except BaseException as error:
            self.server.stop(error)
            raise

    def _one(self, example: Example, decoding: DecodingConfig, seed: int) -> tuple[list[Candidate], int]:
        """(the example's candidates, turns left out of its context).

        A server that gives fewer choices than it is asked for is asked again for the rest.
        """
        last, turns = self.model.max_turns, example.context
        turns = turns[-last:] if last > 0 else turns
        candidates: list[Candidate] = []
        while len(candidates) < decoding.num_candidates:
            try:
                answer = self.server.post(self._request(turns, decoding, rng.key(seed, example.id), len(candidates)))
            except ContextTooLong as error:
                if len(turns) < 2:
                    raise UserError(f"the last turn of example {example.id} alone is too long: {error}") from None
                turns = turns[1:]  # the oldest one
            except OneChoice:
                self.one_choice = True
            else:
                candidates += self._candidates(answer)
        return candidates[: decoding.num_candidates], len(example.context) - len(turns)

    def _request(self, turns: Sequence[str], decoding: DecodingConfig, key: int, made: int) -> dict[str, Any]:
        """A request for the candidates that are still lacking after `made` of them."""
        sampling = decoding.strategy == "sample"
        body = {
            "model": self.model.path,
            "messages": chat_messages(turns, self.model.system_prompt),
            "max_tokens": decoding.max_new_tokens,
            "temperature": decoding.temperature if sampling else 0.0,
            "top_p": decoding.top_p if sampling else 1.0,
            "n": 1 if self.one_choice else decoding.num_candidates - made,
        }
        if sampling:
            body["seed"] = (key + made) % (1 << 31)
        if decoding.rerank == "mmi" and decoding.mmi_lambda < 1:
            body["logprobs"] = True
        return body

    def _candidates(self, answer: Any) -> list[Candidate]:
        """The choices of a chat completion, at least one."""
        try:
            found = [_candidate(choice) for choice in answer["choices"]]
            counted = (answer.get("usage") or {}).get("completion_tokens")
            if counted and len(found) == 1 and found[0].logprob is None:
                found[0] = replace(found[0], tokens=int(counted))  # of several choices it is the sum
            if found:
                return found
            problem = "no choices"
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            problem = f"{type(error).__name__}: {error}"
        told = self.server.without_key(f"({problem}): {answer}")[:300]
        raise UserError(f"{self.engine.base_url} answered what is not a chat completion {told}")


def _candidate(choice: dict[str, Any]) -> Candidate:
    """A choice of a chat completion; its tokens are counted in its log-probabilities, else as words."""
    text = choice["message"]["content"] or ""
    steps = (choice.get("logprobs") or {}).get("content")
    finish = "length" if choice.get("finish_reason") == "length" else "stop"
    if steps is None:
        return Candidate.of(text, len(text.split()), None, finish)
    logprob = sum(float(step["logprob"]) for step in steps)
    if not math.isfinite(logprob):
        raise ValueError("a log-probability that is no finite number")
    return Candidate.of(text, len(steps), logprob, finish, scored_tokens=len(steps))
