"""Training data as the argument of a metric."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dialoeval.errors import UserError
from dialoeval.text.grams import Grams
from dialoeval.text.plain_words import plain_words

if TYPE_CHECKING:
    from dialoeval.data.training_text import TrainingText


def named_training(metric: str, name: str | None) -> TrainingText:
    """Return the training text of a metric's argument.

    Raises:
        UserError: none is named, or it does not exist.
    """
    if not name:
        raise UserError(
            f"{metric} needs the training data after a colon: a dataset or a file, such as {metric}:chitchat-train or "
            f"{metric}:dialogpt_tsv:train.tsv"
        )
    from dialoeval.data.training_text import training_text

    return training_text(name)


def grams_in_turns(training: TrainingText, texts: Sequence[Sequence[str]], orders: Sequence[int]) -> Grams:
    """Return the n-grams of texts, counted in the turns of the training data in one pass.

    Raises:
        UserError: the training data cannot be read, or has no words.
    """

    def turns() -> Iterator[list[str]]:
        for dialogue in training.read():
            yield from map(plain_words, dialogue)

    grams = Grams(texts, orders)
    grams.count(turns())
    if not grams.words:
        raise UserError(f"the training data {training.name} has no words: nothing could be found in it")
    return grams
