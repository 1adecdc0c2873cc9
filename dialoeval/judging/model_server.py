"""A model on a server as a judge: log-probabilities of the options where the server gives them, else one word."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
from dialoeval.config.schema import Strategy
from dialoeval.data.example import Example
from dialoeval.generation.engines.openai.client import Client
from dialoeval.generation.engines.openai.source import OpenAiSource
from dialoeval.generation.types import Candidate
from dialoeval.judging.model_judge import Answer
from dialoeval.judging.model_prompts import Ask

_TOKENS = 8  # of an answer: room for one word and its marks
_LEAST = 0.1  # probability of all options together, below which a text that is none of them counts
_TOP = 20  # most probable first tokens that are asked for; the protocol's greatest number


class ServerJudge:
    """An `Answerer` over a server with the OpenAI chat-completions protocol.

    Args:
        model: its path is the server's name of the model.
        engine: with the server's address.

    Raises:
        UserError: the address is missing or wrong.
    """

    def __init__(self, model: ModelConfig, engine: EngineConfig) -> None:
        self.model = replace(model, system_prompt=None, max_turns=0)
        self.decoding = DecodingConfig(name="greedy", strategy=Strategy.greedy, max_new_tokens=_TOKENS)
        self.source = OpenAiSource(self.model, engine, Client(engine), first_tokens=_TOP)

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name

    def identity(self) -> dict[str, Any]:
        """Return the server and the model's name, since the weights are unknown."""
        return self.source.identity()

    def answer(self, questions: Sequence[Ask]) -> Iterator[Answer]:
        """Yield the answers as they come. A refusal, or a text that is no option, has no probabilities.

        Raises:
            UserError: the server cannot be reached, or rejects every request.
        """
        by_key = {ask.key: ask for ask in questions}
        examples = [Example(ask.key, (ask.user,), system=ask.system) for ask in questions]
        for found in self.source.candidates(examples, self.decoding, seed=0):
            yield _answer(by_key[found.example_id], found.candidates[0])

    def close(self) -> None:
        """Close the connection's journal."""
        self.source.close()


def _answer(ask: Ask, candidate: Candidate) -> Answer:
    if candidate.refusal is not None:
        return Answer(ask.key, None, candidate.refusal)
    weights = [_weight(option, candidate.first_token or {}) for option in ask.options]
    word = (candidate.text.split() or [""])[0].strip("().,:*\"'`").upper()
    # what a model that says something else would have answered is no answer
    if word not in ask.options and sum(weights) < _LEAST:
        return Answer(ask.key, None, f"answered {candidate.text[:80]!r}, which is no option")
    if not any(weights):
        weights = [float(option == word) for option in ask.options]
    return Answer(ask.key, tuple(weight / sum(weights) for weight in weights))


def _weight(option: str, first_token: Mapping[str, float]) -> float:
    """Return the probability that the answer begins with an option, with or without a space before it."""
    return sum(math.exp(logprob) for token, logprob in first_token.items() if token.strip() == option)
