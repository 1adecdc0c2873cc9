"""The candidate source for servers with the OpenAI chat-completions protocol."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
from dialoeval.config.schema import OnRefusal
from dialoeval.data.example import Example
from dialoeval.errors import UserError
from dialoeval.files import dumps, sha256_json
from dialoeval.generation import rng
from dialoeval.generation.engines.openai import threads
from dialoeval.generation.engines.openai.answers import ContextTooLong, OneChoice, Refused, Unsupported, so_far
from dialoeval.generation.engines.openai.client import Client, Stopped
from dialoeval.generation.engines.openai.journal import Journal
from dialoeval.generation.prompts import chat_messages
from dialoeval.generation.types import Candidate, CandidateSet, GeneratorDescription, Hear

VERSION = 1

_LOG = logging.getLogger(__name__)


class OpenAiSource:
    """A `CandidateSource` over a chat-completions server, with several requests in flight.

    Args:
        model: its path is the server's name of the model.
        engine: settings of requests.
        client: of the server.
        first_tokens: how many of the most probable first tokens to ask for, which `Candidate.first_token` then has.
    """

    def __init__(self, model: ModelConfig, engine: EngineConfig, client: Client, first_tokens: int = 0) -> None:
        self.model, self.engine, self.client, self.first_tokens = model, engine, client, first_tokens

    def identity(self) -> dict[str, Any]:
        """Return the server's URL and the model's name, since the weights are unknown."""
        prompt: dict[str, Any] = {"system_prompt": self.model.system_prompt, "max_turns": self.model.max_turns}
        if self.model.template_args:
            prompt["template_args"] = self.model.template_args
        further = {"omit": sorted(self.engine.omit), "extra_body": self.engine.extra_body}
        return {
            "engine": "openai",
            "engine_version": VERSION,
            "server": self.client.base_url,
            "model": self.model.path,
            "prompt": prompt,
            **{name: value for name, value in further.items() if value},
        }

    def describe(self) -> GeneratorDescription:
        """Return the server, the model and the number of requests."""
        settings = self.identity()
        if learned := self.client.journal.learned:
            settings["server_does_not_take"] = sorted(learned)
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

    def keep_answers(self, file: Path) -> None:
        """Keep every answer in `file` as soon as it has come, and use those that it has."""
        journal = Journal(file)
        if journal.answers:
            _LOG.info("%d answers of the server are on disk already", len(journal.answers))
        self.client.keep(journal)

    def candidates(self, examples: Sequence[Example], decoding: DecodingConfig, seed: int) -> Iterator[CandidateSet]:
        """Yield the candidates of each example as soon as they come.

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
        try:
            yield from threads.results(answer, examples, self.engine.concurrency, self.engine.timeout)
            self.client.check_replied()
        except Stopped:
            # Another thread's request failed: raise its error.
            raise self.client.failure or UserError("the requests were stopped") from None
        finally:
            self.client.stop()  # after an error or Ctrl-C, stop the retries and new requests of all threads

    def stream(self, example: Example, decoding: DecodingConfig, seed: int, hear: Hear) -> CandidateSet:
        """Return an example's only candidate, and tell its text so far if the server streams.

        Raises:
            UserError: as for `candidates`.
        """
        self.client.hear = lambda events: hear(so_far(events, decoding.stop))
        try:
            (entry,) = self.candidates([example], decoding, seed)
        except UserError as error:
            if "stream" not in str(error):
                raise
            self.client.hear = None  # the server does not stream
            (entry,) = self.candidates([example], decoding, seed)
        finally:
            self.client.hear = None
        return entry

    def close(self) -> None:
        """Close the file of answers; every request has its own connection."""
        self.client.keep(Journal())

    def _example(self, example: Example, decoding: DecodingConfig, key: int) -> CandidateSet:
        """Return one example's candidates: those that the server did not refuse, or one without text.

        If the server returns fewer choices than requested, the rest is requested again. If the context is too long, its
        oldest turn is dropped.
        """
        last, turns = self.model.max_turns, example.context
        turns = turns[-last:] if last > 0 else turns
        candidates: list[Candidate] = []
        while len(candidates) < decoding.num_candidates:
            request = self._request(turns, example.system, decoding, key + len(candidates))
            name = sha256_json([example.id, len(candidates), request])
            try:
                candidates += self.client.post(self._dressed(request, decoding.num_candidates - len(candidates)), name)
            except ContextTooLong as error:
                if len(turns) < 2:
                    raise UserError(f"the last turn of example {example.id} alone is too long: {error}") from None
                turns = turns[1:]
            except OneChoice:
                self._learn("one choice")
            except Unsupported as error:
                self._learn(error.field)
            except Refused as error:
                candidates.append(replace(Candidate.of("", 0, None, "content_filter"), refusal=str(error)))
                break
        candidates = candidates[: decoding.num_candidates]
        refused = [candidate for candidate in candidates if candidate.refusal is not None]
        if refused and self.engine.on_refusal == OnRefusal.stop:
            raise UserError(
                f"{self.client.url} refuses example {example.id}: {refused[0].refusal} (engine.on_refusal=record "
                "records an empty reply and goes on)"
            )
        replies = [candidate for candidate in candidates if candidate.refusal is None]
        return CandidateSet(example.id, tuple(replies or refused[:1]), len(example.context) - len(turns))

    def _request(self, turns: Sequence[str], system: str | None, decoding: DecodingConfig, key: int) -> dict[str, Any]:
        """Return the fields of a request that decide the reply."""
        sampling = decoding.strategy == "sample"
        body: dict[str, Any] = {
            "model": self.model.path,
            "messages": chat_messages(turns, system or self.model.system_prompt),
            "max_tokens": decoding.max_new_tokens,
            "temperature": decoding.temperature if sampling else 0.0,
            "top_p": decoding.top_p if sampling else 1.0,
        }
        if sampling:
            body["seed"] = key % (1 << 31)
        if decoding.rerank == "mmi" and decoding.mmi_lambda < 1:
            body["logprobs"] = True
        if self.first_tokens:
            body |= {"logprobs": True, "top_logprobs": self.first_tokens}
        if decoding.stop:
            body["stop"] = list(decoding.stop)
        if self.model.template_args:
            body["chat_template_kwargs"] = self.model.template_args
        return {name: value for name, value in body.items() if name not in self.engine.omit} | self.engine.extra_body

    def _dressed(self, request: dict[str, Any], count: int) -> dict[str, Any]:
        """Return a request for `count` choices in the form that the server takes, as far as it is known."""
        learned, body = self.client.journal.learned, dict(request)
        for name in ("temperature", "top_p", "logprobs", "top_logprobs"):
            if name in learned:
                body.pop(name, None)
        if self.engine.max_tokens_field == "max_completion_tokens" or "max_tokens" in learned:
            body["max_completion_tokens"] = body.pop("max_tokens")
        body["n"] = 1 if "one choice" in learned else count
        if "stream" in learned or self.client.hear is not None:
            body["stream"] = True
        return body

    def _learn(self, fact: str) -> None:
        """Note that the server does not take a field of requests; `_dressed` then leaves it out.

        Raises:
            UserError: ``engine.max_tokens_field`` names the field that the server refuses.
        """
        if fact == "max_tokens" and self.engine.max_tokens_field != "auto":
            raise UserError("the server refuses engine.max_tokens_field=max_tokens: use auto or max_completion_tokens")
        if self.client.journal.learn(fact) and fact in ("temperature", "top_p"):
            _LOG.warning("the server takes no %s: its own applies, not that of the decoding", fact)
