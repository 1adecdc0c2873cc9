"""A local model as a judge: the engine's scoring gives the probability of each option, so nothing has to be parsed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig, Prompt
from dialoeval.config.schema import Strategy
from dialoeval.errors import UserError
from dialoeval.generation.local import LocalSource, open_local
from dialoeval.judging.model_judge import Answer
from dialoeval.judging.model_prompts import Ask

_OPTION = 4  # tokens that an option may take
_BLOCK = 64  # asks scored at a time: a killed judge repeats at most these


class LocalJudge:
    """An `Answerer` over an engine of this process.

    Args:
        model: with ``prompt=chat`` the asks go through its chat template, else the model continues plain text.
        engine: that runs it.

    Raises:
        UserError: the model is not available, is an encoder-decoder, or an option is no token sequence of its own.
    """

    def __init__(self, model: ModelConfig, engine: EngineConfig) -> None:
        self.model = replace(model, system_prompt=None, max_turns=0)
        self.source: LocalSource = open_local(
            self.model, engine, DecodingConfig(name="greedy", strategy=Strategy.greedy)
        )
        if self.source.loaded.encoder_decoder:
            raise UserError(f"{model.path} is an encoder-decoder model: a judge must be a causal language model")

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name

    def identity(self) -> dict[str, Any]:
        """Return the identity of model, prompt format and engine."""
        return self.source.identity()

    def answer(self, questions: Sequence[Ask]) -> Iterator[Answer]:
        """Yield the answers, shortest prompts first; the probabilities are those of the options, normalised.

        A question that exceeds the context length has no answer, with its reason.

        Raises:
            UserError: a probability is not finite.
        """
        prompts = sorted(((self._prompt(ask), ask) for ask in questions), key=lambda pair: len(pair[0]))
        room = self.source.loaded.window - _OPTION
        for ids, ask in prompts:
            if len(ids) > room:
                yield Answer(ask.key, None, f"its {len(ids)} tokens exceed the context length of {room + _OPTION}")
        prompts = [(ids, ask) for ids, ask in prompts if len(ids) <= room]
        for start in range(0, len(prompts), _BLOCK):
            block = prompts[start : start + _BLOCK]
            pairs = [(ids, self._option(option)) for ids, ask in block for option in ask.options]
            scores = iter(self.source.engine.score(pairs))
            for _, ask in block:
                yield Answer(ask.key, self._normalised([next(scores) for _ in ask.options]))

    def close(self) -> None:
        """Stop the engine's worker processes."""
        self.source.close()

    def _prompt(self, ask: Ask) -> tuple[int, ...]:
        if self.model.prompt == Prompt.chat:
            return self.source.prompter.build([ask.user], 1_000_000, ask.system).token_ids
        return tuple(self.source.prompter.texts.encode(ask.plain))

    def _option(self, option: str) -> tuple[int, ...]:
        """Return the tokens of an option as it follows the prompt: plain text puts a space before it."""
        text = option if self.model.prompt == Prompt.chat else f" {option}"
        return tuple(self.source.loaded.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def _normalised(self, logprobs: Sequence[float]) -> tuple[float, ...]:
        """Return exp(log-probability) of each option over the sum of all."""
        if not all(map(math.isfinite, logprobs)):
            raise UserError(f"{self.name} returns log-probabilities that are not finite: its weights are broken")
        top = max(logprobs)
        weights = [math.exp(value - top) for value in logprobs]
        return tuple(weight / sum(weights) for weight in weights)
