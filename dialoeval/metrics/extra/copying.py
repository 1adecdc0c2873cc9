"""Replies that were copied from the training data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dialoeval.metrics.base import Array
from dialoeval.metrics.beside import BesideReferences, beside
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.extra._training import grams_in_turns, named_training
from dialoeval.metrics.figures import Figure
from dialoeval.text.grams import Grams
from dialoeval.text.plain_words import NORMALISATION, plain_words

WHOLE = 6  # words of the shortest reply that is looked up whole: shorter ones are said by everyone
LONGEST = 32  # longest n-gram that is looked up, but for whole replies
ORDER = 8


class Copying(BesideReferences):
    """The share of replies of at least 6 words that stand whole in a turn of the training data.

    Further figures: the words of the longest n-gram in common with a training turn (at most 32, or the whole reply),
    and the share of a reply's 8-grams that stand in training but not in the reply's context.
    """

    name = "copying"
    description = "share of replies of 6 or more words that stand whole in the training data: copying:TRAIN, 0..1"
    figures = beside(
        Figure("copying", "Copied", percent=True, unit="0..1", higher_is_better=False),
        Figure("copying.longest", "Longest copy", decimals=1, unit="words", higher_is_better=False),
        Figure("copying.8", "Copied 8-grams", percent=True, unit="0..1", higher_is_better=False),
    )
    takes_argument = True

    def check(self) -> None:
        """Check that the training data is named.

        Raises:
            UserError: it is not, or does not exist.
        """
        named_training("copying", self.argument)

    def text_scores(self, corpus: Corpus, examples: Sequence[int], texts: Sequence[str]) -> Array:
        """Return (t, 3): whether the text stands whole in training, its longest n-gram there, its share of 8-grams."""
        training = named_training("copying", self.argument)
        words = [plain_words(text) for text in texts]
        lengths = np.array([len(text) for text in words], dtype=np.int64)
        orders = {*range(1, min(LONGEST, int(lengths.max(initial=1))) + 1), *(int(n) for n in lengths if n > LONGEST)}
        grams = grams_in_turns(training, words, sorted(orders))
        longest = np.zeros(len(texts), dtype=np.int64)
        for n in grams.orders:
            windows = grams.windows(n)
            longest[windows.text[windows.count > 0]] = n
        # longer n-grams are looked up for the whole replies of that length: they must not tell of other replies
        longest = np.where(longest == lengths, lengths, np.minimum(longest, LONGEST))
        whole = np.where(lengths >= WHOLE, longest == lengths, np.nan)
        self._signature = f"train:{training.name}|sha:{training.sha256[:12]}"
        self._more = {"training_words": grams.words, "training_turns": training.turns}
        return np.column_stack(
            [whole, np.where(lengths > 0, longest, np.nan), _eight_grams(grams, words, examples, corpus.contexts)]
        )

    def corpus_details(self, corpus: Corpus, rows: Array) -> dict[str, Any]:
        """Return the size of the training data."""
        return self._more

    def signature(self, corpus: Corpus) -> str:
        """Return the training data with its hash, and how words are compared."""
        return f"copying|{self._signature}|whole:{WHOLE}+|{NORMALISATION}|within-turn"


METRIC = Copying


def _eight_grams(
    grams: Grams, words: list[list[str]], examples: Sequence[int], contexts: list[list[str]] | None
) -> Array:
    """Return (t,) shares of the 8-grams of texts that stand in training and in no turn of the context.

    NaN without 8-grams, or if the contexts are unknown.
    """
    shares = np.full(len(words), np.nan)
    if contexts is None or ORDER not in grams.orders:
        return shares
    windows = grams.windows(ORDER)
    total = np.bincount(windows.text, minlength=len(words))
    shares[total > 0] = 0.0
    for text, start, count in zip(windows.text, windows.start, windows.count, strict=True):
        if count and not _stands_in(words[text][start : start + ORDER], contexts[examples[text]]):
            shares[text] += 1 / total[text]
    return shares


def _stands_in(gram: list[str], turns: list[str]) -> bool:
    return any(f" {' '.join(gram)} " in f" {' '.join(plain_words(turn))} " for turn in turns)
