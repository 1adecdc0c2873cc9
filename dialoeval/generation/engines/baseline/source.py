"""The candidate source of baselines."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

from dialoeval.config import DatasetConfig, DecodingConfig, EngineConfig
from dialoeval.config.schema import RETRIEVING, TRAINED, BaselineConfig, BaselineKind
from dialoeval.data.example import Example
from dialoeval.generation.engines.baseline.repliers import Replier
from dialoeval.generation.engines.baseline.training import TrainingSet
from dialoeval.generation.types import Candidate, CandidateSet, GeneratorDescription

VERSION = 1

_LOG = logging.getLogger(__name__)


class BaselineSource:
    """A `CandidateSource` of one text a context.

    Args:
        baseline: settings.
        engine: of which `chunk` alone is read.
        replier: says what the reply is.
        training: its training set; None of baselines that have none.
    """

    def __init__(
        self, baseline: BaselineConfig, engine: EngineConfig, replier: Replier, training: TrainingSet | None
    ) -> None:
        self.baseline, self.engine, self.replier, self.training = baseline, engine, replier, training

    def identity(self) -> dict[str, Any]:
        """Return the kind of the baseline and its parameters, and the fingerprint of the training set."""
        kind = self.baseline.kind
        used: dict[str, Any] = {"kind": str(kind)}
        if kind == BaselineKind.constant:
            used["text"] = self.baseline.text
        if kind in TRAINED and self.training is not None:
            used["training_set"] = self.training.fingerprint
        if kind in RETRIEVING:
            used["by"] = str(self.baseline.by)
        return {"engine": "baseline", "engine_version": VERSION, "baseline": used | self.replier.identity()}

    def describe(self) -> GeneratorDescription:
        """Return the identity, and the name and size of the training set."""
        settings = self.identity()
        if self.training is not None:
            named = {"training_name": self.training.name, "training_pairs": len(self.training.pairs)}
            settings["baseline"] = settings["baseline"] | named
        return GeneratorDescription(engine=settings.pop("engine"), settings=settings)

    def check_data(self, dataset: DatasetConfig, examples: Sequence[Example]) -> None:
        """Check, before the first reply, that a run's examples are not the training set, and count what it shares.

        Raises:
            UserError: they are the training set.
        """
        if self.training is None:
            return
        self.training.check_apart(dataset, examples)
        if shared := self.training.shared_pairs(examples):
            _LOG.warning(
                "%d of %d examples have a last turn and a reference that %s has as a pair too",
                *(shared, len(examples), self.training.name),
            )

    def chunk_size(self) -> int:
        """Return the number of contexts per chunk."""
        return self.engine.chunk or (512 if self.baseline.kind in RETRIEVING else 4096)

    def prompt_length(self, example: Example, decoding: DecodingConfig) -> int:
        """Return 0: no reply costs more than another."""
        return 0

    def candidates(self, examples: Sequence[Example], decoding: DecodingConfig, seed: int) -> Iterator[CandidateSet]:
        """Yield one candidate per example, in order.

        Raises:
            UserError: an example has no human reply, or no document that is not of its own conversation.
        """
        for example in examples:
            text, retrieved = self.replier.reply(example, seed)
            text = " ".join(text.split())
            candidate = Candidate(text, len(text.split()), None, "stop", retrieved=retrieved)
            yield CandidateSet(example.id, (candidate,), 0)

    def close(self) -> None:
        """Do nothing: there is no process to stop."""
