"""The candidate source for models in this process: a prompter, a token engine and a tokenizer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
from dialoeval.data.example import Example
from dialoeval.errors import UserError
from dialoeval.generation import stopping, token_engines
from dialoeval.generation.prompts import BuiltPrompt, Prompter
from dialoeval.generation.token_engines import OpenedEngine
from dialoeval.generation.types import Candidate, CandidateSet, GeneratorDescription, Hear, TokenReply, TokenRequest
from dialoeval.models.loading import LoadedModel, choose_device


class LocalSource:
    """A `CandidateSource` over a token engine."""

    def __init__(self, loaded: LoadedModel, prompter: Prompter, opened: OpenedEngine, config: EngineConfig) -> None:
        self.loaded, self.prompter, self.config = loaded, prompter, config
        self.opened, self.engine = opened, opened.tokens

    def identity(self) -> dict[str, Any]:
        """Return the hashes of weights and tokenizer, the prompt format, the precision and the engine's version."""
        return {
            **self.loaded.identity.without_path(),
            "prompt": self.prompter.identity(),
            "engine": self.engine.name,
            "engine_version": self.engine.version,
            "dtype": self.config.dtype,
        }

    def describe(self) -> GeneratorDescription:
        """Return the engine, the reason for it, the device and the model, with the engine's counters."""
        return GeneratorDescription(
            engine=self.engine.name,
            accounting=self.engine.accounting(),
            reason=self.opened.reason,
            device=self.loaded.device,
            dtype=self.config.dtype,
            model=self.loaded.identity,
            parameters=self.loaded.model.num_parameters(),
            window=self.loaded.window,
            settings={
                "engine_version": self.engine.version,
                "prompt": self.prompter.describe(),
                "generation_config": self.loaded.generation_settings,
            },
        )

    def chunk_size(self) -> int:
        """Return the number of contexts per chunk."""
        return self.config.chunk or (4096 if self.loaded.device.startswith("cuda") else 256)

    def prompt_length(self, example: Example, decoding: DecodingConfig) -> int:
        """Return the number of tokens in an example's prompt."""
        return len(self._prompt(example, decoding).token_ids)

    def prompt_text(self, example: Example, decoding: DecodingConfig) -> str:
        """Return an example's prompt as the model reads it, special tokens included."""
        text: str = self.loaded.tokenizer.decode(self._prompt(example, decoding).token_ids)
        return text

    def candidates(self, examples: Sequence[Example], decoding: DecodingConfig, seed: int) -> Iterator[CandidateSet]:
        """Yield the candidates of each example as soon as the engine has finished them."""
        prompts = {example.id: self._prompt(example, decoding) for example in examples}
        requests = [self._request(name, prompt, decoding) for name, prompt in prompts.items()]
        return self._gathered(self.engine.generate(requests, decoding, seed), prompts, decoding)

    def stream(self, example: Example, decoding: DecodingConfig, seed: int, hear: Hear) -> CandidateSet:
        """Return an example's only candidate, and tell its text so far if the engine streams."""
        prompt = self._prompt(example, decoding)
        request = self._request(example.id, prompt, decoding)
        tell = getattr(self.engine, "stream", None)

        def hear_tokens(tokens: Sequence[int]) -> None:
            text = self.loaded.tokenizer.decode(tokens, skip_special_tokens=True)
            found = stopping.cut(tokens, self.loaded.tokenizer, decoding.stop)
            hear(stopping.settled(text, decoding.stop) if found is None else found[1])

        if tell is None:
            replies = self.engine.generate([request], decoding, seed)
        else:
            replies = iter([tell(request, decoding, seed, hear_tokens)])
        (entry,) = self._gathered(replies, {example.id: prompt}, decoding)
        return entry

    def _gathered(
        self, replies: Iterable[TokenReply], prompts: dict[str, BuiltPrompt], decoding: DecodingConfig
    ) -> Iterator[CandidateSet]:
        """Yield the candidates of each example as soon as its last reply has come."""
        waiting: dict[str, list[TokenReply]] = {}
        if decoding.stop:
            replies = self._scored_to_stop(replies, prompts, decoding)
        for reply in replies:
            own = waiting.setdefault(reply.example_id, [])
            own.append(reply)
            if len(own) == decoding.num_candidates:
                own.sort(key=lambda reply: reply.sample)
                candidates = tuple(self._candidate(reply, decoding) for reply in waiting.pop(reply.example_id))
                yield CandidateSet(reply.example_id, candidates, prompts[reply.example_id].dropped_turns)

    def close(self) -> None:
        """Stop the engine's worker processes."""
        self.engine.close()

    def _prompt(self, example: Example, decoding: DecodingConfig) -> BuiltPrompt:
        """Return the prompt, cut to leave room for the longest reply (not for an encoder, whose reply is apart)."""
        limit = self.loaded.window - (0 if self.loaded.encoder_decoder else decoding.max_new_tokens)
        if decoding.max_length:  # the reply may take what the prompt leaves
            limit = min(self.loaded.window, decoding.max_length) - 1
        if limit < 1:
            raise UserError(
                f"decoding.max_new_tokens={decoding.max_new_tokens} leaves no room for a context: the context "
                f"length of {self.loaded.name} is {self.loaded.window} tokens"
            )
        return self.prompter.build(example.context, limit, example.system)

    def _request(self, name: str, prompt: BuiltPrompt, decoding: DecodingConfig) -> TokenRequest:
        """Return the request for an example's prompt, with the limit of new tokens that `decoding.max_length` sets."""
        limit = min(self.loaded.window, decoding.max_length) - len(prompt.token_ids) if decoding.max_length else None
        return TokenRequest(name, prompt.token_ids, limit)

    def _scored_to_stop(
        self, replies: Iterable[TokenReply], prompts: dict[str, BuiltPrompt], decoding: DecodingConfig
    ) -> Iterator[TokenReply]:
        """Yield replies cut after the tokens of the first stop text, scored again if the engine went further."""
        cut: list[TokenReply] = []
        for reply in replies:
            found = stopping.cut(reply.token_ids, self.loaded.tokenizer, decoding.stop)
            if found is None or (found[0] == len(reply.token_ids) and reply.finish == "length"):
                yield reply
            else:
                cut.append(replace(reply, token_ids=reply.token_ids[: found[0]], finish="length"))
        pairs = [(prompts[reply.example_id].token_ids, reply.token_ids) for reply in cut]
        for reply, logprob in zip(cut, self.engine.score(pairs) if pairs else [], strict=True):
            yield replace(reply, logprob=logprob)

    def _candidate(self, reply: TokenReply, decoding: DecodingConfig) -> Candidate:
        if not math.isfinite(reply.logprob):
            raise UserError(
                f"{self.loaded.name} returns log-probabilities that are not finite (engine.dtype={self.config.dtype}): "
                "its weights are broken, or too large for this precision (try engine.dtype=fp32)"
            )
        count = len(reply.token_ids)
        if stopped := stopping.cut(reply.token_ids, self.loaded.tokenizer, decoding.stop):
            return Candidate.of(stopped[1], count, reply.logprob, "stop", scored_tokens=count)
        text = self.loaded.tokenizer.decode(reply.token_ids, skip_special_tokens=True)
        return Candidate.of(text, count, reply.logprob, reply.finish)


def open_local(model: ModelConfig, engine: EngineConfig, decoding: DecodingConfig) -> LocalSource:
    """Load `model` and open the token engine that runs it.

    Raises:
        UserError: the model is not available, no engine supports the model and the decoding, or an end token of the
            decoding is not a token of the model.
    """
    if engine.dtype == "fp16" and choose_device(engine.device) == "cpu":
        raise UserError("engine.dtype=fp16 needs a GPU: use fp32 (exact) or bf16 on the CPU")
    loaded = token_engines.MODELS.get("forward", model.path, model.revision, model.weights, engine)
    if decoding.end_tokens:
        more = stopping.end_token_ids(
            decoding.end_tokens, loaded.tokenizer, loaded.model.config.get_text_config().vocab_size
        )
        loaded = replace(loaded, eos_ids=tuple(dict.fromkeys((*loaded.eos_ids, *more))))
    opened = token_engines.open_engine(loaded, engine, decoding)
    return LocalSource(loaded, Prompter(model, loaded.tokenizer), opened, engine)
