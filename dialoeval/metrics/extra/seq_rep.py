"""Repetition within each reply, as a mean over replies (Welleck et al. 2019)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from dialoeval.errors import UserError
from dialoeval.metrics.base import Array
from dialoeval.metrics.beside import BesideReferences, beside
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.figures import Figure

ORDERS = (4, 1, 2, 3)


def _figure(n: int) -> Figure:
    name = "seq_rep" if n == ORDERS[0] else f"seq_rep.{n}"
    return Figure(name, f"Seq-rep-{n}", percent=True, unit="0..1", higher_is_better=False)


class SeqRep(BesideReferences):
    """The mean over replies of 1 - distinct n-grams / n-grams, for n = 1..4 with n = 4 as the main figure.

    A reply with fewer than n words has no score of order n. The metric `repetition` counts over all replies together.

    Source: Welleck et al. (2020), "Neural Text Generation with Unlikelihood Training", equation 9.
    """

    name = "seq_rep"
    description = (
        "mean share of repeated 1..4-grams within each reply (Welleck 2019), 0..1; words, or seq_rep:MODEL's tokens"
    )
    figures = beside(*map(_figure, ORDERS))
    takes_argument = True

    def __init__(self, argument: str | None = None) -> None:
        super().__init__(argument)
        if argument in ("", "tokens"):
            raise UserError(
                "seq_rep:tokens: files of replies keep the number of a reply's tokens, not the tokens; name the model "
                "whose tokenizer splits the replies, such as seq_rep:gpt2, or use seq_rep for words"
            )

    def check(self) -> None:
        """Check that the tokenizer's model is there.

        Raises:
            UserError: it is not.
        """
        if self.argument:
            from dialoeval.models import check_model

            check_model(self.argument)

    def text_scores(self, corpus: Corpus, examples: Sequence[int], texts: Sequence[str]) -> Array:
        """Return (t, 4) shares of repeated n-grams."""
        return np.array([[_repeated(units, n) for n in ORDERS] for units in self._units(texts)]).reshape(-1, 4)

    def signature(self, corpus: Corpus) -> str:
        """Return what an n-gram consists of."""
        return f"seq_rep|tok:{'split' if not self.argument else self.argument}|mean:replies|short:left-out"

    def _units(self, texts: Sequence[str]) -> Sequence[Sequence[Hashable]]:
        if not self.argument:
            return [text.split() for text in texts]
        from dialoeval.models import load_tokenizer
        from dialoeval.models.plain_text import PlainText

        return PlainText(load_tokenizer(self.argument)).encode_all(texts)


METRIC = SeqRep


def _repeated(units: Sequence[Hashable], n: int) -> float:
    """Return 1 - distinct n-grams / n-grams, NaN without n-grams."""
    grams = [tuple(units[i : i + n]) for i in range(len(units) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else float("nan")
