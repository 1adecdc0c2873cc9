"""Replies of a model in this process: contexts to tokens, a token engine, tokens to text, reranking."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
from dialoeval.data.example import Example
from dialoeval.errors import UserError
from dialoeval.generation.prompts import Prompter
from dialoeval.generation.rerank import open_reranker
from dialoeval.generation.types import Candidate, Reply, TokenEngine, TokenReply, TokenRequest
from dialoeval.models.loading import LoadedModel, choose_device, load_classifier, load_model


class LocalGenerator:
    """A `Generator` over a token engine, with a reranker where the decoding asks for one."""

    def __init__(
        self,
        loaded: LoadedModel,
        prompter: Prompter,
        engine: TokenEngine,
        why: str,
        reranker: Any,
        config: EngineConfig,
    ) -> None:
        self.loaded, self.prompter, self.engine, self.why = loaded, prompter, engine, why
        self.reranker, self.config = reranker, config

    def identity(self) -> dict[str, Any]:
        """Weights, tokenizer, prompt format, precision, engine; the reranking model's too."""
        made = {
            **self.loaded.identity.without_path(),
            "prompt": self.prompter.identity(),
            "engine": self.engine.name,
            "engine_version": _version(self.engine),
            "dtype": self.config.dtype,
        }
        return made | ({"reranker": self.reranker.identity()} if self.reranker else {})

    def describe(self) -> dict[str, Any]:
        """What ran, where and why, with its accounting."""
        return {
            "engine": self.engine.name,
            "engine_reason": self.why,
            "device": self.loaded.device,
            "dtype": self.config.dtype,
            "model": self.loaded.identity.to_json(),
            "parameters": self.loaded.model.num_parameters(),
            "window": self.loaded.window,
            "accounting": self.engine.accounting(),
            **({"reranker": self.reranker.describe()} if self.reranker else {}),
        }

    def chunk_size(self) -> int:
        """Contexts a chunk."""
        return self.config.chunk or (4096 if self.loaded.device.startswith("cuda") else 256)

    def prompt_length(self, example: Example, decoding: DecodingConfig) -> int:
        """Tokens of an example's prompt: what chunks are ordered by."""
        return len(self.prompter.build(example.context, self._limit(decoding)).token_ids)

    def reply(self, examples: Sequence[Example], decoding: DecodingConfig, seed: int) -> Iterator[Reply]:
        """Yield one reply an example, in any order."""
        prompts = {example.id: self.prompter.build(example.context, self._limit(decoding)) for example in examples}
        requests = [TokenRequest(name, prompt.token_ids) for name, prompt in prompts.items()]
        waiting: dict[str, list[TokenReply]] = {}
        for reply in self.engine.generate(requests, decoding, seed):
            waiting.setdefault(reply.example_id, []).append(reply)
            if self.reranker is None:
                candidate = self._candidate(waiting.pop(reply.example_id)[0])
                yield Reply.of(reply.example_id, candidate, prompts[reply.example_id].dropped_turns)
        if self.reranker is not None:
            candidates = [
                [self._candidate(reply) for reply in sorted(waiting[example.id], key=lambda reply: reply.sample)]
                for example in examples
            ]
            dropped = [prompts[example.id].dropped_turns for example in examples]
            yield from self.reranker.replies(examples, candidates, dropped, decoding)

    def close(self) -> None:
        """Stop the engine's worker processes."""
        if hasattr(self.engine, "close"):
            self.engine.close()

    def _limit(self, decoding: DecodingConfig) -> int:
        """Tokens there are for a prompt: the window less the longest reply (an encoder has its window for itself)."""
        limit = self.loaded.window - (0 if self.loaded.encoder_decoder else decoding.max_new_tokens)
        if limit < 1:
            raise UserError(
                f"decoding.max_new_tokens={decoding.max_new_tokens} leaves no room for a context: the window of "
                f"{self.loaded.name} is {self.loaded.window} tokens"
            )
        return limit

    def _candidate(self, reply: TokenReply) -> Candidate:
        if not math.isfinite(reply.logprob):
            raise UserError(
                f"{self.loaded.name} gives probabilities that are no numbers (engine.dtype={self.config.dtype}): its "
                "weights are broken, or too large for this precision (try engine.dtype=fp32)"
            )
        text = self.loaded.tokenizer.decode(reply.token_ids, skip_special_tokens=True)
        return Candidate.of(text, len(reply.token_ids), reply.logprob, reply.finish)


def open_local(model: ModelConfig, engine: EngineConfig, decoding: DecodingConfig) -> LocalGenerator:
    """Load `model` and choose the engine: ``fast`` where it can, else ``hf`` (``engine.name=auto``).

    Raises:
        UserError: the model cannot be had, or the engine that was named cannot run it.
    """
    if engine.dtype == "fp16" and choose_device(engine.device) == "cpu":
        raise UserError("engine.dtype=fp16 needs a GPU: use fp32 (exact) or bf16 on the CPU")
    loaded = cached_load("forward", model.path, model.revision, model.weights, engine)
    token_engine, why = choose_engine("forward", loaded, engine, decoding)
    reranker = open_reranker(model, engine, decoding)
    return LocalGenerator(loaded, Prompter(model, loaded.tokenizer), token_engine, why, reranker, engine)


# role -> (what was asked for, the model): a sweep loads each model once, and holds one model a role
_CACHE: dict[str, tuple[tuple, LoadedModel]] = {}


def cached_load(role: str, path: str, revision: str | None, weights: str | None, engine: EngineConfig) -> LoadedModel:
    """Load the model of a role (forward, backward, classifier), unless the role's last call asked for the same one."""
    key = (path, revision, weights, engine.device)
    if role in _CACHE and _CACHE[role][0] != key:
        del _CACHE[role]  # freed before the next one is read
    if role not in _CACHE:
        load = load_classifier if role == "classifier" else load_model
        _CACHE[role] = (key, load(path, revision=revision, weights=weights, engine=engine))
    return _CACHE[role][1]


def choose_engine(
    role: str, loaded: LoadedModel, engine: EngineConfig, decoding: DecodingConfig
) -> tuple[TokenEngine, str]:
    """(token engine, why this one) for a model from `cached_load`.

    Raises:
        UserError: ``engine.name=fast``, and it cannot run this.
    """
    if str(engine.name) == "hf":
        return _hf(role, loaded, engine), "asked for"
    from dialoeval.generation.engines import fast

    reason = fast.supports(loaded.model.config, decoding)
    if reason is None and len(loaded.eos_ids) > 1:
        reason = f"{loaded.name} ends replies with {len(loaded.eos_ids)} tokens"
    if reason is None:
        placed = dataclasses.replace(engine, device=loaded.device)
        made = fast.FastEngine(loaded.model, placed, eos_id=loaded.eos_id, window=loaded.window)
        return made, "supports this model and decoding"
    if str(engine.name) == "fast":
        raise UserError(f"engine=fast cannot run this: {reason} (engine=auto takes hf for it)")
    return _hf(role, loaded, engine), f"fast cannot: {reason}"


def _hf(role: str, loaded: LoadedModel, engine: EngineConfig) -> TokenEngine:
    from dialoeval.generation.engines.hf import HfEngine

    if engine.dtype != "fp32":
        _CACHE.pop(role, None)  # the engine rounds the weights in place: no later run may take them for float32
    return HfEngine(loaded, engine)


def _version(engine: TokenEngine) -> int:
    import importlib

    return importlib.import_module(f"dialoeval.generation.engines.{engine.name}").VERSION
