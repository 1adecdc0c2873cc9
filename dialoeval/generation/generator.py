"""The generator: a source of candidates, and a reranker if the decoding names one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dialoeval.config import DatasetConfig, DecodingConfig, EngineConfig, ModelConfig
from dialoeval.data.example import Example
from dialoeval.errors import UserError
from dialoeval.generation import engines
from dialoeval.generation.engines import Engine
from dialoeval.generation.local import open_local
from dialoeval.generation.rerank import Reranker, check_models, open_reranker
from dialoeval.generation.types import CandidateSource, GeneratorDescription, Hear, Reply


class ReplyGenerator:
    """The `Generator` of every engine."""

    def __init__(self, source: CandidateSource, reranker: Reranker | None, engine: Engine) -> None:
        self.source, self.reranker, self.engine = source, reranker, engine

    @property
    def keyed_draws(self) -> bool:
        """Whether random draws depend only on seed and example."""
        return self.engine.module.KEYED_DRAWS

    def identity(self) -> dict[str, Any]:
        """Return the identity of the source and the reranker, and the engine's plugin."""
        identity = self.source.identity()
        if self.engine.package is not None:
            identity["plugin"] = self.engine.package
        if self.reranker is not None:
            identity["reranker"] = self.reranker.identity()
        return identity

    def describe(self) -> GeneratorDescription:
        """Return the description of the engine, the model and the reranker, with their counters."""
        description = self.source.describe()
        return description if self.reranker is None else replace(description, reranker=self.reranker.describe())

    def chunk_size(self) -> int:
        """Return the number of contexts per chunk."""
        return self.source.chunk_size()

    def prompt_length(self, example: Example, decoding: DecodingConfig) -> int:
        """Return the size of an example's prompt, by which chunks are sorted."""
        return self.source.prompt_length(example, decoding)

    def prompt_text(self, example: Example, decoding: DecodingConfig) -> str:
        """Return an example's prompt as the model reads it; the turns, one a line, if the engine does not tell."""
        tell = getattr(self.source, "prompt_text", None)
        return "\n".join(example.context) if tell is None else str(tell(example, decoding))

    def reply(self, examples: Sequence[Example], decoding: DecodingConfig, seed: int) -> Iterator[Reply]:
        """Yield one reply per example, in any order. A reranker needs all candidates before the first reply."""
        candidate_sets = self.source.candidates(examples, decoding, seed)
        if self.reranker is None:
            for entry in candidate_sets:
                yield Reply.of(entry.example_id, entry.candidates[0], entry.dropped_turns)
        else:
            by_id = {entry.example_id: entry for entry in candidate_sets}
            pairs = []
            for example, entry in zip(examples, (by_id[example.id] for example in examples), strict=True):
                if entry.candidates[0].refusal is None:
                    pairs.append((example, entry))
                else:  # nothing to choose from
                    yield Reply.of(entry.example_id, entry.candidates[0], entry.dropped_turns)
            if pairs:
                asked, sets = zip(*pairs, strict=True)
                yield from self.reranker.choose(asked, sets, decoding)

    def stream(self, example: Example, decoding: DecodingConfig, seed: int, hear: Hear) -> Reply:
        """Return the reply to an example, and tell its text so far if the engine can.

        Beam search and reranking know their reply at the end only, so that nothing is told.
        """
        tell = getattr(self.source, "stream", None)
        if tell is None or self.reranker is not None or decoding.num_candidates > 1 or decoding.strategy == "beam":
            (reply,) = self.reply([example], decoding, seed)
            return reply
        listening = True

        def while_listening(text: str) -> None:
            if listening:  # a thread of a client may go on after Ctrl-C
                hear(" ".join(text.split()))

        try:
            entry = tell(example, decoding, seed, while_listening)
        finally:
            listening = False
        return Reply.of(entry.example_id, entry.candidates[0], entry.dropped_turns)

    def check_data(self, dataset: DatasetConfig, examples: Sequence[Example]) -> None:
        """Check that the engine may reply to these examples, if it has something to check.

        Raises:
            UserError: a baseline has them as its training set.
        """
        check = getattr(self.source, "check_data", None)
        if check is not None:
            check(dataset, examples)

    def keep_answers(self, file: Path) -> None:
        """Keep every answer of a server in `file` as soon as it has come; other engines have none to keep."""
        keep = getattr(self.source, "keep_answers", None)
        if keep is not None:
            keep(file)

    def close(self) -> None:
        """Stop worker processes and free memory."""
        self.source.close()
        if self.reranker is not None:
            self.reranker.close()


def open_generator(model: ModelConfig, engine: EngineConfig, decoding: DecodingConfig) -> ReplyGenerator:
    """Open the engine with its model, and the reranker; see `dialoeval.generation.open_generator`.

    Raises:
        UserError: a model is not available, or the engine is unknown or does not support the model, the decoding or
            its own options.
    """
    check_models(model, decoding)
    baseline = model.baseline.kind
    if engine.name == "auto" and baseline is not None:
        engine = replace(engine, name="baseline")
    entry = None if engine.name == "auto" else engines.get(engine.name)
    if engine.options and (entry is None or entry.package is None):
        settings = ", ".join(f"engine.options.{name}" for name in engine.options)
        raise UserError(f"engine={engine.name} has no {settings}: only engines of plugins have options of their own")
    if baseline is not None and engine.name != "baseline":
        raise UserError(f"engine={engine.name} cannot run the baseline {baseline}, which is no model: use engine=auto")
    if entry is None or entry.module.RUNS_HERE:
        local = open_local(model, engine, decoding)
        return ReplyGenerator(local, open_reranker(model, engine, decoding, runs_here=True), local.opened.engine)
    if reason := entry.module.supports(model, decoding):
        raise UserError(f"engine={engine.name} cannot run this: {reason}")
    source = entry.module.open_source(model, engine, decoding)
    # The reranker comes second: it has to fit the memory that the source leaves.
    return ReplyGenerator(source, open_reranker(model, engine, decoding, runs_here=False), entry)
