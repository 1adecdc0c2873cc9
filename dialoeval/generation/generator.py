"""From candidates to replies: a source of candidates, and a reranker if the decoding asks for one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
from dialoeval.data.example import Example
from dialoeval.errors import UserError
from dialoeval.generation import engines
from dialoeval.generation.engines import Engine
from dialoeval.generation.local import open_local
from dialoeval.generation.rerank import Reranker, open_reranker
from dialoeval.generation.types import CandidateSource, GeneratorDescription, Reply


class ReplyGenerator:
    """The `Generator` of every engine."""

    def __init__(self, source: CandidateSource, reranker: Reranker | None, engine: Engine) -> None:
        self.source, self.reranker, self.engine = source, reranker, engine

    @property
    def keyed_draws(self) -> bool:
        """Whether a draw depends on seed and example alone."""
        return self.engine.module.KEYED_DRAWS

    def identity(self) -> dict[str, Any]:
        """Return what decides the replies: the identity of source and reranker, and the engine's plugin."""
        identity = self.source.identity()
        if self.engine.package is not None:
            identity["plugin"] = self.engine.package
        if self.reranker is not None:
            identity["reranker"] = self.reranker.identity()
        return identity

    def describe(self) -> GeneratorDescription:
        """Return what ran, with its accounting and the reranker's."""
        description = self.source.describe()
        return description if self.reranker is None else replace(description, reranker=self.reranker.describe())

    def chunk_size(self) -> int:
        """Return the contexts a chunk."""
        return self.source.chunk_size()

    def prompt_length(self, example: Example, decoding: DecodingConfig) -> int:
        """Return the size of an example's prompt: chunks are ordered by it."""
        return self.source.prompt_length(example, decoding)

    def reply(self, examples: Sequence[Example], decoding: DecodingConfig, seed: int) -> Iterator[Reply]:
        """Yield one reply an example, in any order; if they are reranked, all at the end."""
        sets = self.source.candidates(examples, decoding, seed)
        if self.reranker is None:
            for one in sets:
                yield Reply.of(one.example_id, one.candidates[0], one.dropped_turns)
        else:
            by_id = {one.example_id: one for one in sets}
            yield from self.reranker.choose(examples, [by_id[example.id] for example in examples], decoding)

    def close(self) -> None:
        """Stop worker processes and free memory."""
        self.source.close()
        if self.reranker is not None:
            self.reranker.close()


def open_generator(model: ModelConfig, engine: EngineConfig, decoding: DecodingConfig) -> ReplyGenerator:
    """Open the engine with its model, and the reranker; see `dialoeval.generation.open_generator`.

    Raises:
        UserError: the engine is unknown, has no such options, or cannot do this; or a model is not available.
    """
    chosen = None if engine.name == "auto" else engines.get(engine.name)
    if engine.options and (chosen is None or chosen.package is None):
        settings = ", ".join(f"engine.options.{name}" for name in engine.options)
        raise UserError(f"engine={engine.name} has no {settings}: only engines of plugins have options of their own")
    if chosen is None or chosen.module.RUNS_HERE:
        local = open_local(model, engine, decoding)
        return ReplyGenerator(local, open_reranker(model, engine, decoding, runs_here=True), local.opened.engine)
    if reason := chosen.module.supports(model, decoding):
        raise UserError(f"engine={engine.name} cannot run this: {reason}")
    source = chosen.module.open_source(model, engine, decoding)
    # After the source, in the memory that it leaves.
    return ReplyGenerator(source, open_reranker(model, engine, decoding, runs_here=False), chosen)
