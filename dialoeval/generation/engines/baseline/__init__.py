"""The `baseline` engine: systems without weights of their own, beside which a table of models is read.

`model.baseline.kind` names the system. Nothing is decoded, and a reply depends on nothing but its example, the
training set and the seed: order, chunks and shards change nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dialoeval.config.schema import TRAINED, BaselineKind, DecodingConfig, Dtype, Strategy
from dialoeval.errors import UserError
from dialoeval.generation.engines.baseline.source import VERSION, BaselineSource

if TYPE_CHECKING:
    from dialoeval.config import EngineConfig, ModelConfig
    from dialoeval.config.schema import BaselineConfig
    from dialoeval.generation.engines.baseline.repliers import Replier
    from dialoeval.generation.engines.baseline.training import TrainingSet

__all__ = ["KEYED_DRAWS", "RUNS_HERE", "VERSION", "open_source", "supports"]

RUNS_HERE = False
KEYED_DRAWS = True


def supports(model: ModelConfig, decoding: DecodingConfig) -> str | None:
    """Return None if the model is a baseline and the decoding asks for nothing, else the reason in one sentence."""
    if model.baseline.kind is None:
        return f"{model.path} is a model, not a baseline (model=baseline-constant, baseline-bm25, ...)"
    if replace(decoding, name="") != DecodingConfig(name="", strategy=Strategy.greedy):
        return f"the baseline {model.baseline.kind} decodes nothing: settings of decoding have no effect"
    return None


def open_source(model: ModelConfig, engine: EngineConfig, decoding: DecodingConfig) -> BaselineSource:
    """Open the baseline with its training set, if it has one.

    Raises:
        UserError: the training set cannot be read or is too large, a package is missing, or the engine's settings ask
            for a device or a precision.
    """
    if engine.dtype != Dtype.fp32 or engine.device not in ("auto", "cpu"):
        raise UserError(f"the baseline {model.baseline.kind} runs on the CPU: engine.dtype, engine.device do nothing")
    baseline = model.baseline
    training = None
    if baseline.kind in TRAINED:
        from dialoeval.generation.engines.baseline.training import open_training_set

        training = open_training_set(baseline.dataset, baseline.settings)
    return BaselineSource(baseline, engine, _replier(baseline, training), training)


def _replier(baseline: BaselineConfig, training: TrainingSet | None) -> Replier:
    from dialoeval.generation.engines.baseline import repliers

    if training is None:
        if baseline.kind == BaselineKind.constant:
            return repliers.Constant(baseline.text)
        return repliers.Human() if baseline.kind == BaselineKind.human else repliers.Copy()
    if baseline.kind == BaselineKind.random:
        return repliers.Random(training)
    if baseline.kind == BaselineKind.frequent:
        return repliers.Frequent(training)
    from dialoeval.generation.engines.baseline.retrieval import Retriever

    if baseline.kind == BaselineKind.bm25:
        from dialoeval.generation.engines.baseline.bm25 import Bm25

        return Retriever(training, Bm25(training.documents(baseline.by)))
    from dialoeval.generation.engines.baseline.dense import Dense

    return Retriever(training, Dense(training.documents(baseline.by)))
