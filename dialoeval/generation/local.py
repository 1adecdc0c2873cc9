"""Replies of a model in this process: contexts to tokens, a token engine, tokens to text, reranking."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
from dialoeval.data.example import Example
from dialoeval.errors import UserError
from dialoeval.generation.models import LoadedModel, load
from dialoeval.generation.prompts import Prompter
from dialoeval.generation.types import Candidate, Reply, TokenEngine, TokenReply, TokenRequest

DTYPES = ("fp32", "bf16", "fp16")


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
            **{key: value for key, value in self.loaded.identity.items() if key != "path"},
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
            "model": self.loaded.identity,
            "parameters": sum(p.numel() for p in self.loaded.model.parameters()),
            "window": self.loaded.window,
            "accounting": self.engine.accounting(),
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
        by_id = {example.id: example for example in examples}
        waiting: dict[str, list[TokenReply]] = {}
        for reply in self.engine.generate(requests, decoding, seed):
            candidates = waiting.setdefault(reply.example_id, [])
            candidates.append(reply)
            if len(candidates) == decoding.num_candidates and self.reranker is None:
                candidate = self._candidate(waiting.pop(reply.example_id)[0])
                yield _reply(reply.example_id, candidate, (), prompts[reply.example_id].dropped_turns)
        if self.reranker is not None:
            ranked = {
                name: [self._candidate(reply) for reply in sorted(replies, key=lambda reply: reply.sample)]
                for name, replies in waiting.items()
            }
            scored = self.reranker.score([by_id[name] for name in ranked], list(ranked.values()), decoding)
            for name, candidates in zip(ranked, scored, strict=True):
                best = max(candidates, key=lambda candidate: candidate.score)  # the first of equals
                yield _reply(name, best, tuple(candidates), prompts[name].dropped_turns)

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
        text = self.loaded.tokenizer.decode(reply.token_ids, skip_special_tokens=True)
        return Candidate(" ".join(text.split()), len(reply.token_ids), round(reply.logprob, 4), reply.finish)


def open_local(model: ModelConfig, engine: EngineConfig, decoding: DecodingConfig) -> LocalGenerator:
    """Load `model` and choose the engine: ``fast`` where it can, else ``hf`` (``engine.name=auto``).

    Raises:
        UserError: the model cannot be had, or the engine that was named cannot run it.
    """
    if engine.dtype not in DTYPES:
        raise UserError(f"engine.dtype must be one of {', '.join(DTYPES)}, not {engine.dtype!r}")
    loaded = _cached_load(model, engine)
    if engine.dtype == "fp16" and loaded.device == "cpu":
        raise UserError("engine.dtype=fp16 needs a GPU: use fp32 (exact) or bf16 on the CPU")
    token_engine, why = _choose(loaded, engine, decoding)
    reranker = None
    if decoding.rerank != "none":
        from dialoeval.generation.rerank import open_reranker

        reranker = open_reranker(model, engine, decoding, token_engine, loaded)
    return LocalGenerator(loaded, Prompter(model, loaded.tokenizer), token_engine, why, reranker, engine)


_CACHE: dict[tuple, LoadedModel] = {}


def _cached_load(model: ModelConfig, engine: EngineConfig) -> LoadedModel:
    key = (model.path, model.revision, model.weights, engine.device)
    if key not in _CACHE:
        _CACHE.clear()  # one model at a time: the one before is freed first
        _CACHE[key] = load(model.path, revision=model.revision, weights=model.weights, engine=engine)
    return _CACHE[key]


def make_engine(name: str, loaded: LoadedModel, engine: EngineConfig) -> TokenEngine:
    """A token engine by name over a loaded model."""
    if name == "fast":
        from dialoeval.generation.engines.fast import FastEngine

        placed = dataclasses.replace(engine, device=loaded.device)
        return FastEngine(loaded.model, placed, eos_id=loaded.eos_id, window=loaded.window)
    from dialoeval.generation.engines.hf import HfEngine

    return HfEngine(loaded, engine)


def _choose(loaded: LoadedModel, engine: EngineConfig, decoding: DecodingConfig) -> tuple[TokenEngine, str]:
    if str(engine.name) == "hf":
        return make_engine("hf", loaded, engine), "asked for"
    from dialoeval.generation.engines import fast

    reason = fast.supports(loaded.model.config, decoding)
    if reason is None:
        return make_engine("fast", loaded, engine), "supports this model and decoding"
    if str(engine.name) == "fast":
        raise UserError(f"engine=fast cannot run this: {reason} (engine=auto takes hf for it)")
    return make_engine("hf", loaded, engine), f"fast cannot: {reason}"


def _version(engine: TokenEngine) -> int:
    import importlib

    return importlib.import_module(f"dialoeval.generation.engines.{engine.name}").VERSION


def _reply(name: str, chosen: Candidate, candidates: tuple[Candidate, ...], dropped: int) -> Reply:
    return Reply(name, chosen.text, chosen.tokens, chosen.logprob, chosen.finish, dropped, candidates)
