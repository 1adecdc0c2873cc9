"""Replies that say again what was said before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dialoeval.errors import UserError
from dialoeval.metrics.base import Array
from dialoeval.metrics.beside import BesideReferences, beside, contexts_of
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.figures import Figure
from dialoeval.text.plain_words import NORMALISATION, plain_text


class SelfLoop(BesideReferences):
    """The share of replies that equal a former turn of the same speaker (the main figure), or any turn.

    Files of replies name no speakers: two speakers in turn are assumed, so that the replier's turns are the last but
    one, the third from the end counted two back, and so on. A context of one turn has none, and its reply no score.
    """

    name = "self_loop"
    description = "share of replies that equal a former turn of the same speaker (self_loop.any: any turn), 0..1"
    figures = beside(
        Figure("self_loop", "Self-loop", percent=True, unit="0..1", higher_is_better=False),
        Figure("self_loop.any", "Self-loop any", percent=True, unit="0..1", higher_is_better=False),
    )

    def text_scores(self, corpus: Corpus, examples: Sequence[int], texts: Sequence[str]) -> Array:
        """Return (t, 2) whether a text equals a turn of its speaker, and any turn.

        Raises:
            UserError: no reply has a context, or none has one of two turns.
        """
        contexts = contexts_of(self.name, corpus)
        if max(map(len, contexts)) < 2:
            raise UserError("self_loop needs contexts of two or more turns: the replier has no former turn in any")
        plain = [[plain_text(turn) for turn in turns] for turns in contexts]
        scores = np.full((len(texts), 2), np.nan)
        for row, (i, text) in enumerate(zip(examples, texts, strict=True)):
            turns, own = plain[i], plain_text(text)
            if len(turns) > 1:
                scores[row, 0] = bool(own) and own in turns[-2::-2]
            if turns:
                scores[row, 1] = bool(own) and own in turns
        return scores

    def signature(self, corpus: Corpus) -> str:
        """Return how texts are compared."""
        return f"self_loop|{NORMALISATION}|speakers:alternate"


METRIC = SelfLoop
