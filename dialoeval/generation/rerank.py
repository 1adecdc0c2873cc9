"""Choosing one of several sampled candidates: maximum mutual information, or a classifier."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
from dialoeval.config.schema import Dtype, Rerank
from dialoeval.data.example import Example
from dialoeval.errors import UserError
from dialoeval.generation import token_engines
from dialoeval.generation.types import Candidate, CandidateSet, Reply, RerankerDescription, TokenEngine
from dialoeval.models.loading import LoadedModel


def open_reranker(
    model: ModelConfig, engine: EngineConfig, decoding: DecodingConfig, runs_here: bool
) -> Reranker | None:
    """Return the reranker that `decoding.rerank` names; None for ``none``.

    Args:
        runs_here: whether `engine` makes the candidates in this process. It then runs the reranking model as well;
            else ``auto`` does, in float32.

    Raises:
        UserError: its model is not named or cannot be loaded.
    """
    if decoding.rerank == Rerank.none:
        return None
    if not runs_here:
        engine = replace(engine, name="auto", dtype=Dtype.fp32, options={})
    load = token_engines.MODELS.get
    if decoding.rerank == Rerank.mmi:
        if not model.backward:
            raise UserError("decoding.rerank=mmi needs a backward model: model.backward=NAME or FOLDER")
        backward = load("backward", model.backward, model.backward_revision, model.backward_weights, engine)
        if backward.encoder_decoder:
            raise UserError(f"model.backward={model.backward} must be a causal language model, not an encoder-decoder")
        return MaximumMutualInformation(backward, token_engines.open_engine(backward, engine, decoding).tokens)
    if not model.classifier:
        raise UserError("decoding.rerank=classifier needs a sequence classifier: model.classifier=NAME or FOLDER")
    return Classifier(load("classifier", model.classifier, model.classifier_revision, None, engine))


class Reranker(ABC):
    """Scores candidates and chooses among them."""

    loaded: LoadedModel

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Return what tells this reranker's scores from others'."""

    def describe(self) -> RerankerDescription:
        """Return what ran, with its accounting."""
        return RerankerDescription(self.loaded.name, self.loaded.device)

    @abstractmethod
    def score(
        self, examples: Sequence[Example], candidates: Sequence[Sequence[Candidate]], decoding: DecodingConfig
    ) -> list[list[tuple[float, Candidate]]]:
        """Return the score of each candidate of each example, larger is better, and the candidate with it filled in."""

    def choose(
        self, examples: Sequence[Example], sets: Sequence[CandidateSet], decoding: DecodingConfig
    ) -> Iterator[Reply]:
        """Yield the reply to each example: its candidate of the highest score, the first of equals.

        Scores are compared as they are written to files: what rounding makes equal is equal.

        Args:
            sets: the candidates of each example, in order.

        Raises:
            UserError: a score is not finite.
        """
        ranked = self.score(examples, [one.candidates for one in sets], decoding)
        if not all(math.isfinite(score) for scored in ranked for score, _ in scored):
            raise UserError(f"{self.loaded.name} gives scores that are not numbers: its weights are broken")
        for one, scored in zip(sets, ranked, strict=True):
            _, best = max(scored, key=lambda pair: pair[0])
            yield Reply.of(one.example_id, best, one.dropped_turns, tuple(candidate for _, candidate in scored))

    def close(self) -> None:
        """Stop worker processes, if there are any."""
        return

    def _identity(self, kind: str) -> dict[str, Any]:
        return {"kind": kind, **self.loaded.identity.without_path()}


class MaximumMutualInformation(Reranker):
    """P(source | hypothesis) under a backward model (DialoGPT, section 3.2).

    The backward model has seen dialogues with their turns in reverse order: it is given the candidate and scores the
    turns of the context, the last one first, each with its end token. An empty context tells candidates apart by
    nothing: the first is taken.
    """

    def __init__(self, loaded: LoadedModel, engine: TokenEngine) -> None:
        self.loaded, self.engine = loaded, engine

    def identity(self) -> dict[str, Any]:
        """Return the backward model's identity and its engine."""
        return self._identity("mmi") | {"engine": self.engine.name}

    def describe(self) -> RerankerDescription:
        """Return what ran, with its accounting."""
        return replace(super().describe(), engine=self.engine.name, accounting=self.engine.accounting())

    def close(self) -> None:
        """Stop the engine's worker processes."""
        self.engine.close()

    def score(
        self, examples: Sequence[Example], candidates: Sequence[Sequence[Candidate]], decoding: DecodingConfig
    ) -> list[list[tuple[float, Candidate]]]:
        """Fill in backward_logprob (nats) and score of every candidate; equal texts are scored once.

        score = lambda * backward + (1 - lambda) * forward log-probability, each a mean over its tokens with
        ``mmi_length_normalised``; lambda 1 chooses the lowest backward loss, as the paper does.
        """
        pairs: dict[tuple[int, str], tuple[list[int], list[int]]] = {}
        for i, (example, considered) in enumerate(zip(examples, candidates, strict=True)):
            source = self._source(example)
            for candidate in considered:
                pairs.setdefault((i, candidate.text), self._pair(candidate.text, source))
        values = dict(zip(pairs, self.engine.score(list(pairs.values())), strict=True))
        ranked = []
        for i, considered in enumerate(candidates):
            scored = []
            for candidate in considered:
                backward = values[i, candidate.text]
                tokens = len(pairs[i, candidate.text][1])
                score = round(_mix(backward, tokens, candidate, decoding), 4)
                scored.append((score, replace(candidate, backward_logprob=round(backward, 4), score=score)))
            ranked.append(scored)
        return ranked

    def _encode(self, text: str) -> list[int]:
        return [*self.loaded.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"], self.loaded.eos_id]

    def _source(self, example: Example) -> list[int]:
        return [token for turn in reversed(example.context) for token in self._encode(turn)]

    def _pair(self, text: str, source: list[int]) -> tuple[list[int], list[int]]:
        """Return (candidate, source) in the backward model's window: the oldest turns, at the end, are cut."""
        reply = self._encode(text)[-(self.loaded.window // 2) :]
        return reply, source[: self.loaded.window - len(reply)]


class Classifier(Reranker):
    """A sequence classifier over context and reply, such as DialogRPT: the probability that people like the reply."""

    _BATCH = 32

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        labels = loaded.model.config.num_labels
        if labels != 1 or not hasattr(loaded.model, "score"):
            raise UserError(
                f"{loaded.name} is not a reranker: it takes a sequence classifier of the GPT-2 kind with one label, "
                f"such as microsoft/DialogRPT-updown (this one has {labels})"
            )

    def identity(self) -> dict[str, Any]:
        """Return the classifier's identity."""
        return self._identity("classifier")

    def score(
        self, examples: Sequence[Example], candidates: Sequence[Sequence[Candidate]], decoding: DecodingConfig
    ) -> list[list[tuple[float, Candidate]]]:
        """Fill in score of every candidate: the sigmoid of the classifier's (first) logit."""
        inputs: dict[tuple[int, str], list[int]] = {}
        for i, (example, considered) in enumerate(zip(examples, candidates, strict=True)):
            for candidate in considered:
                inputs.setdefault((i, candidate.text), self._input(example, candidate.text))
        values = dict(zip(inputs, self._probabilities(list(inputs.values())), strict=True))
        ranked = []
        for i, considered in enumerate(candidates):
            scores = [round(values[i, candidate.text], 6) for candidate in considered]
            ranked.append(
                [(score, replace(candidate, score=score)) for score, candidate in zip(scores, considered, strict=True)]
            )
        return ranked

    def _input(self, example: Example, text: str) -> list[int]:
        """Return turns and reply joined by the end-of-text token, as DialogRPT was trained; the oldest ones are cut."""
        tokenizer = self.loaded.tokenizer
        ids: list[int] = []
        for turn in example.context:
            ids += [*tokenizer(turn, add_special_tokens=False, verbose=False)["input_ids"], self.loaded.eos_id]
        ids += tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return (ids or [self.loaded.eos_id])[-self.loaded.window :]

    def _probabilities(self, inputs: list[list[int]]) -> list[float]:
        import torch

        values = [0.0] * len(inputs)
        order = sorted(range(len(inputs)), key=lambda i: len(inputs[i]))
        for start in range(0, len(order), self._BATCH):
            part = order[start : start + self._BATCH]
            width = max(len(inputs[i]) for i in part)
            ids = torch.zeros(len(part), width, dtype=torch.long)
            lengths = torch.tensor([len(inputs[i]) for i in part])
            for row, i in enumerate(part):
                ids[row, : len(inputs[i])] = torch.tensor(inputs[i])
            model, device = self.loaded.model, self.loaded.device
            with torch.inference_mode():
                # the classifier finds the last token by the pad token's value, which may be the end-of-text token:
                # take the hidden state of the last real position instead
                hidden = model.base_model(input_ids=ids.to(device)).last_hidden_state
                last = hidden[torch.arange(len(part)), (lengths - 1).to(device)]
                for i, value in zip(part, torch.sigmoid(model.score(last)[:, 0].float()).tolist(), strict=True):
                    values[i] = value
        return values


def _mix(backward: float, tokens: int, candidate: Candidate, decoding: DecodingConfig) -> float:
    """Return the MMI score of a candidate from the log-probability of `tokens` tokens of its context."""
    forward, forward_tokens = candidate.logprob, candidate.scored_tokens
    if forward is None:
        if decoding.mmi_lambda != 1:
            raise UserError(
                "decoding.mmi_lambda below 1 needs log-probabilities of the candidates: this engine gives none"
            )
        forward = 0.0
    if forward_tokens is None:
        forward_tokens = candidate.tokens + (candidate.finish == "stop")
    if decoding.mmi_length_normalised:
        backward, forward = backward / max(1, tokens), forward / max(1, forward_tokens)
    return decoding.mmi_lambda * backward + (1 - decoding.mmi_lambda) * forward
