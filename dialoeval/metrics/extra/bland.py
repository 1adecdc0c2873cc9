"""Bland replies: those of tri-grams that are frequent in the training data."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dialoeval.errors import UserError
from dialoeval.metrics.base import Array
from dialoeval.metrics.beside import BesideReferences, beside
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.extra._training import grams_in_turns, named_training
from dialoeval.metrics.figures import Figure
from dialoeval.text.plain_words import NORMALISATION, plain_words

_LOG = logging.getLogger(__name__)
OFTEN = 1000  # a tri-gram seen more often is frequent
SHARE = 0.9  # of a bland reply's tri-grams


class Bland(BesideReferences):
    """The share of replies of which at least 90% of the tri-grams were seen more than 1,000 times in training.

    A reply of fewer than three words has no score.

    Source: Zhang et al. (2020), "DialoGPT", section 3.1, where such targets are removed from the training data.
    """

    name = "bland"
    description = "share of replies with 90% of tri-grams seen over 1,000 times in training: bland:TRAIN[@TIMES], 0..1"
    figures = beside(Figure("bland", "Bland", percent=True, unit="0..1", higher_is_better=False))
    takes_argument = True

    def __init__(self, argument: str | None = None) -> None:
        super().__init__(argument)
        self._name, at, times = (argument or "").rpartition("@")
        if not at or (not times.isdigit() and Path(argument or "").expanduser().is_file()):
            self._name, times = argument or "", str(OFTEN)
        if not times.isdigit():
            raise UserError(f"bland:{argument}: a number must follow '@', the times a frequent tri-gram is seen")
        self.often = int(times)

    def check(self) -> None:
        """Check that the training data is named.

        Raises:
            UserError: it is not, or does not exist.
        """
        named_training("bland", self._name)

    def text_scores(self, corpus: Corpus, examples: Sequence[int], texts: Sequence[str]) -> Array:
        """Return (t, 1) whether a text is bland, NaN without tri-grams."""
        training = named_training("bland", self._name)
        grams = grams_in_turns(training, [plain_words(text) for text in texts], (3,))
        windows = grams.windows(3)
        total = np.bincount(windows.text, minlength=len(texts))
        frequent = np.bincount(windows.text[windows.count > self.often], minlength=len(texts))
        largest = int(windows.count.max(initial=0))
        if grams.words <= self.often:
            raise UserError(
                f"the training data {training.name} has {grams.words:,} words, too few to see a tri-gram more than "
                f"{self.often:,} times: no reply could be bland (bland:{self._name}@TIMES sets another number)"
            )
        if largest <= self.often:
            _LOG.warning(
                "bland: no tri-gram of the replies and references is seen more than %s times in %s, the commonest %s "
                "times: bland:%s@TIMES sets another number",
                f"{self.often:,}",
                training.name,
                f"{largest:,}",
                self._name,
            )
        self._signature = f"train:{training.name}|sha:{training.sha256[:12]}"
        self._more = {"training_words": grams.words, "largest_count": largest, "training_turns": training.turns}
        with np.errstate(invalid="ignore"):
            return np.where(total > 0, frequent >= SHARE * total, np.nan)[:, None]

    def corpus_details(self, corpus: Corpus, rows: Array) -> dict[str, Any]:
        """Return the size of the training data, and how often the commonest tri-gram of the texts is seen in it."""
        return self._more

    def signature(self, corpus: Corpus) -> str:
        """Return the rule and the training data with its hash."""
        return f"bland|{self._signature}|seen:>{self.often}|share:{SHARE}|{NORMALISATION}|within-turn"


METRIC = Bland
