"""Choosing one of several sampled candidates: maximum mutual information, or a classifier."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
from dialoeval.config.schema import EngineName, Rerank
from dialoeval.data.example import Example
from dialoeval.errors import UserError
from dialoeval.generation.types import Candidate, Reply, TokenEngine
from dialoeval.models.loading import LoadedModel


def open_reranker(model: ModelConfig, engine: EngineConfig, decoding: DecodingConfig) -> Reranker | None:
    """The reranker that `decoding.rerank` names; None for ``none``. Its model runs here, whatever makes the candidates.

    Raises:
        UserError: its model is not named or cannot be loaded.
    """
    from dialoeval.generation.local import cached_load, choose_engine

    if decoding.rerank == Rerank.none:
        return None
    if str(engine.name) not in ("auto", "fast", "hf"):
        engine = replace(engine, name=EngineName.auto, dtype="fp32")  # another program makes the candidates
    if decoding.rerank == Rerank.mmi:
        if not model.backward:
            raise UserError("decoding.rerank=mmi needs a backward model: model.backward=NAME or FOLDER")
        backward = cached_load("backward", model.backward, model.backward_revision, model.backward_weights, engine)
        if backward.encoder_decoder:
            raise UserError(f"model.backward={model.backward} must be a causal language model, not an encoder-decoder")
        token_engine, _ = choose_engine("backward", backward, engine, decoding)
        return MaximumMutualInformation(backward, token_engine)
    if not model.classifier:
        raise UserError("decoding.rerank=classifier needs a sequence classifier: model.classifier=NAME or FOLDER")
    return Classifier(cached_load("classifier", model.classifier, model.classifier_revision, None, engine))


class Reranker(ABC):
    """Scores candidates and chooses among them."""

    loaded: LoadedModel

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What tells this reranker's scores from others'."""

    def describe(self) -> dict[str, Any]:
        """For environment.json: what ran, with its accounting."""
        return {"model": self.loaded.name, "device": self.loaded.device}

    @abstractmethod
    def score(
        self, examples: Sequence[Example], candidates: Sequence[list[Candidate]], decoding: DecodingConfig
    ) -> list[list[Candidate]]:
        """The candidates of each example with their scores filled in."""

    def choose(
        self, examples: Sequence[Example], candidates: Sequence[list[Candidate]], decoding: DecodingConfig
    ) -> list[tuple[Candidate, tuple[Candidate, ...]]]:
        """(the candidate of the highest score, all candidates with their scores) of each example; the first of equals.

        Scores are compared as they are written to files: what rounding makes equal is equal.
        """
        ranked = self.score(examples, candidates, decoding)
        if not all(math.isfinite(candidate.score) for some in ranked for candidate in some):
            raise UserError(f"{self.loaded.name} gives scores that are no numbers: its weights are broken")
        return [(max(some, key=lambda candidate: candidate.score), tuple(some)) for some in ranked]

    def replies(
        self,
        examples: Sequence[Example],
        candidates: Sequence[list[Candidate]],
        dropped_turns: Sequence[int],
        decoding: DecodingConfig,
    ) -> Iterator[Reply]:
        """Yield the reply to each example that `choose` makes of its candidates."""
        chosen = self.choose(examples, candidates, decoding)
        for example, (best, scored), dropped in zip(examples, chosen, dropped_turns, strict=True):
            yield Reply.of(example.id, best, dropped, scored)

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
        return self._identity("mmi") | {"engine": self.engine.name}

    def describe(self) -> dict[str, Any]:
        return super().describe() | {"engine": self.engine.name, "accounting": self.engine.accounting()}

    def score(
        self, examples: Sequence[Example], candidates: Sequence[list[Candidate]], decoding: DecodingConfig
    ) -> list[list[Candidate]]:
        """Fill in backward_logprob (nats) and score of every candidate; equal texts are scored once.

        score = lambda * backward + (1 - lambda) * forward log-probability, each a mean over its tokens with
        ``mmi_length_normalised``; lambda 1 chooses the lowest backward loss, as the paper does.
        """
        pairs: dict[tuple[int, str], tuple[list[int], list[int]]] = {}
        for i, (example, some) in enumerate(zip(examples, candidates, strict=True)):
            source = self._source(example)
            for candidate in some:
                pairs.setdefault((i, candidate.text), self._pair(candidate.text, source))
        values = dict(zip(pairs, self.engine.score(list(pairs.values())), strict=True))
        ranked = []
        for i, some in enumerate(candidates):
            scored = []
            for candidate in some:
                backward = values[i, candidate.text]
                tokens = len(pairs[i, candidate.text][1])
                forward_tokens = candidate.scored_tokens
                if forward_tokens is None:
                    forward_tokens = candidate.tokens + (candidate.finish == "stop")
                score = _mix(backward, tokens, candidate.logprob, forward_tokens, decoding)
                scored.append(replace(candidate, backward_logprob=round(backward, 4), score=round(score, 4)))
            ranked.append(scored)
        return ranked

    def _encode(self, text: str) -> list[int]:
        return [*self.loaded.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"], self.loaded.eos_id]

    def _source(self, example: Example) -> list[int]:
        return [token for turn in reversed(example.context) for token in self._encode(turn)]

    def _pair(self, text: str, source: list[int]) -> tuple[list[int], list[int]]:
        """(candidate, source) in the backward model's window: the oldest turns lie at the end, and are cut there."""
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
                f"{loaded.name} is no reranker: it takes a sequence classifier of the GPT-2 kind with one label, "
                f"such as microsoft/DialogRPT-updown (this one has {labels})"
            )

    def identity(self) -> dict[str, Any]:
        return self._identity("classifier")

    def score(
        self, examples: Sequence[Example], candidates: Sequence[list[Candidate]], decoding: DecodingConfig
    ) -> list[list[Candidate]]:
        """Fill in score of every candidate: the sigmoid of the classifier's (first) logit."""
        texts: dict[tuple[int, str], list[int]] = {}
        for i, (example, some) in enumerate(zip(examples, candidates, strict=True)):
            for candidate in some:
                texts.setdefault((i, candidate.text), self._input(example, candidate.text))
        values = dict(zip(texts, self._probabilities(list(texts.values())), strict=True))
        return [
            [replace(candidate, score=round(values[i, candidate.text], 6)) for candidate in some]
            for i, some in enumerate(candidates)
        ]

    def _input(self, example: Example, text: str) -> list[int]:
        """Turns and reply joined by the end-of-text token, as DialogRPT was trained; the oldest tokens are cut."""
        tokenizer, ids = self.loaded.tokenizer, []
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


def _mix(backward: float, tokens: int, forward: float | None, forward_tokens: int, decoding: DecodingConfig) -> float:
    if forward is None:
        if decoding.mmi_lambda != 1:
            raise UserError(
                "decoding.mmi_lambda below 1 needs log-probabilities of the candidates: this engine gives none"
            )
        forward = 0.0
    if decoding.mmi_length_normalised:
        backward, forward = backward / max(1, tokens), forward / max(1, forward_tokens)
    return decoding.mmi_lambda * backward + (1 - decoding.mmi_lambda) * forward
