"""Rerankers, which choose one of several sampled candidates: maximum mutual information, or a classifier."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
from dialoeval.config.schema import Dtype, Rerank
from dialoeval.data.example import Example
from dialoeval.errors import UserError
from dialoeval.generation import token_engines
from dialoeval.generation.types import Candidate, CandidateSet, Reply, RerankerDescription, TokenEngine
from dialoeval.models.dialogue_scores import BackwardTexts, ResponseClassifier
from dialoeval.models.loading import LoadedModel


def open_reranker(
    model: ModelConfig, engine: EngineConfig, decoding: DecodingConfig, runs_here: bool
) -> Reranker | None:
    """Return the reranker that `decoding.rerank` names, or None for ``none``.

    Args:
        model: backward and classifier, the reranking models.
        engine: the engine of the candidates.
        decoding: rerank and the settings of MMI.
        runs_here: whether `engine` runs in this process. It then runs the reranking model too; otherwise
            ``engine=auto`` does, in float32.

    Raises:
        UserError: the reranking model is missing from `model` or cannot be loaded.
    """
    if decoding.rerank == Rerank.none:
        return None
    check_models(model, decoding)
    if not runs_here:
        engine = replace(engine, name="auto", dtype=Dtype.fp32, options={})
    load = token_engines.MODELS.get
    if decoding.rerank == Rerank.mmi:
        assert model.backward is not None
        backward = load("backward", model.backward, model.backward_revision, model.backward_weights, engine)
        if backward.encoder_decoder:
            raise UserError(f"model.backward={model.backward} must be a causal language model, not an encoder-decoder")
        return MaximumMutualInformation(backward, token_engines.open_engine(backward, engine, decoding).tokens)
    assert model.classifier is not None
    return Classifier(load("classifier", model.classifier, model.classifier_revision, None, engine))


def check_models(model: ModelConfig, decoding: DecodingConfig) -> None:
    """Check that the reranking model is named, which takes no loading.

    Raises:
        UserError: it is not; another model's is never taken over.
    """
    own = f"the one of a model option belongs to that option's model, not to {model.path}"
    if decoding.rerank == Rerank.mmi and not model.backward:
        raise UserError(f"decoding.rerank=mmi needs a backward model: model.backward=NAME or FOLDER ({own})")
    if decoding.rerank == Rerank.classifier and not model.classifier:
        raise UserError(
            f"decoding.rerank=classifier needs a sequence classifier: model.classifier=NAME or FOLDER ({own})"
        )


class Reranker(ABC):
    """A model that scores candidates, and the choice of the best one."""

    loaded: LoadedModel
    kind: ClassVar[str]  # in identities

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Return the settings that determine the scores."""

    def describe(self) -> RerankerDescription:
        """Return the model and its device."""
        return RerankerDescription(self.kind, self.loaded.identity, self.loaded.device)

    @abstractmethod
    def score(
        self, examples: Sequence[Example], candidates: Sequence[Sequence[Candidate]], decoding: DecodingConfig
    ) -> list[list[tuple[float, Candidate]]]:
        """Return the score of each candidate of each example (larger is better), and the candidate with its scores."""

    def choose(
        self, examples: Sequence[Example], sets: Sequence[CandidateSet], decoding: DecodingConfig
    ) -> Iterator[Reply]:
        """Yield the reply to each example: the candidate with the highest score, or the first of several.

        Scores are compared after they are rounded for the files.

        Args:
            examples: the contexts.
            sets: the candidates of each example, in the order of `examples`.
            decoding: the settings of MMI.

        Raises:
            UserError: a score is not finite.
        """
        scores = self.score(examples, [entry.candidates for entry in sets], decoding)
        if not all(math.isfinite(score) for pairs in scores for score, _ in pairs):
            raise UserError(f"{self.loaded.name} returns scores that are not finite: its weights are broken")
        for entry, pairs in zip(sets, scores, strict=True):
            _, best = max(pairs, key=lambda pair: pair[0])
            yield Reply.of(entry.example_id, best, entry.dropped_turns, tuple(candidate for _, candidate in pairs))

    def close(self) -> None:
        """Stop the worker processes, if any."""
        return

    def _identity(self) -> dict[str, Any]:
        return {"kind": self.kind, **self.loaded.identity.without_path()}


class MaximumMutualInformation(Reranker):
    """Maximum mutual information: P(source | hypothesis) under a backward model.

    The backward model was trained on dialogues in reverse order. It gets the candidate and scores the turns of the
    context, the last one first, each with its end token. With an empty context and lambda 1 all candidates score 0, so
    the first one is chosen.

    Source: Zhang et al. (2020), "DialoGPT", section 3.2.
    """

    kind = "mmi"

    def __init__(self, loaded: LoadedModel, engine: TokenEngine) -> None:
        self.loaded, self.engine = loaded, engine
        self.texts = BackwardTexts(loaded)

    def identity(self) -> dict[str, Any]:
        """Return the backward model's identity and its engine."""
        return self._identity() | {"engine": self.engine.name}

    def describe(self) -> RerankerDescription:
        """Return the model, its device and its engine, with the engine's counters."""
        return replace(super().describe(), engine=self.engine.name, accounting=self.engine.accounting())

    def close(self) -> None:
        """Stop the engine's worker processes."""
        self.engine.close()

    def score(
        self, examples: Sequence[Example], candidates: Sequence[Sequence[Candidate]], decoding: DecodingConfig
    ) -> list[list[tuple[float, Candidate]]]:
        """Return candidates with backward_logprob (nats) and score; equal texts are scored once.

        score = lambda * backward + (1 - lambda) * forward log-probability, each a mean over its tokens if
        ``mmi_length_normalised``. With lambda 1 the lowest backward loss wins, as in the paper.
        """
        pairs: dict[tuple[int, str], tuple[list[int], list[int]]] = {}
        for i, (example, own_candidates) in enumerate(zip(examples, candidates, strict=True)):
            source = self.texts.source(example.context)
            for candidate in own_candidates:
                pairs.setdefault((i, candidate.text), self.texts.pair(candidate.text, source))
        logprobs = dict(zip(pairs, self.engine.score(list(pairs.values())), strict=True))
        scores: list[list[tuple[float, Candidate]]] = []
        for i, own_candidates in enumerate(candidates):
            scores.append([])
            for candidate in own_candidates:
                backward = logprobs[i, candidate.text]
                tokens = len(pairs[i, candidate.text][1])
                score = round(_mix(backward, tokens, candidate, decoding), 4)
                scores[i].append((score, replace(candidate, backward_logprob=round(backward, 4), score=score)))
        return scores


class Classifier(Reranker):
    """A sequence classifier over context and reply, such as DialogRPT, which predicts whether people like a reply."""

    kind = "classifier"

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.model = ResponseClassifier(loaded)

    def identity(self) -> dict[str, Any]:
        """Return the classifier's identity."""
        return self._identity()

    def score(
        self, examples: Sequence[Example], candidates: Sequence[Sequence[Candidate]], decoding: DecodingConfig
    ) -> list[list[tuple[float, Candidate]]]:
        """Return candidates with score, the sigmoid of the classifier's (first) logit; equal texts are scored once."""
        inputs: dict[tuple[int, str], list[int]] = {}
        for i, (example, own_candidates) in enumerate(zip(examples, candidates, strict=True)):
            for candidate in own_candidates:
                inputs.setdefault((i, candidate.text), self.model.input(example.context, candidate.text))
        probabilities = dict(zip(inputs, self.model.probabilities(list(inputs.values())), strict=True))
        scores: list[list[tuple[float, Candidate]]] = []
        for i, own_candidates in enumerate(candidates):
            scores.append([])
            for candidate in own_candidates:
                score = round(probabilities[i, candidate.text], 6)
                scores[i].append((score, replace(candidate, score=score)))
        return scores


def _mix(backward: float, tokens: int, candidate: Candidate, decoding: DecodingConfig) -> float:
    """Return the MMI score of a candidate.

    Args:
        backward: log-probability of the context given the candidate, in nats.
        tokens: number of tokens in the context.
        candidate: with its forward log-probability.
        decoding: mmi_lambda and mmi_length_normalised.

    Raises:
        UserError: mmi_lambda is below 1 and the candidate has no log-probability.
    """
    forward, forward_tokens = candidate.logprob, candidate.scored_tokens
    if forward is None:
        if decoding.mmi_lambda != 1:
            raise UserError(
                "decoding.mmi_lambda below 1 needs log-probabilities of the candidates, which this engine does not give"
            )
        forward = 0.0
    if forward_tokens is None:
        forward_tokens = candidate.tokens + (candidate.finish == "stop")
    if decoding.mmi_length_normalised:
        backward, forward = backward / max(1, tokens), forward / max(1, forward_tokens)
    return decoding.mmi_lambda * backward + (1 - decoding.mmi_lambda) * forward
