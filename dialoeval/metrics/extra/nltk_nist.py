"""NLTK's NIST, which differs from mteval's: it is far lower with several references."""

from __future__ import annotations

from importlib.metadata import version

from dialoeval.errors import UserError
from dialoeval.metrics.base import Metric, Value
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.figures import Figure


class NltkNist(Metric):
    """NIST-4 of lower-cased words by ``corpus_nist``; NLTK gives only the value of the whole set."""

    name = "nltk_nist"
    description = "NLTK's corpus_nist (not the paper's NIST: far lower with several references)"
    figures = (Figure("nltk_nist", "NIST (NLTK)", decimals=4, unit="bits per word", needs_references=True),)
    needs_references = True

    @property
    def reply_figure(self) -> None:
        """None: single replies have no score."""
        return None

    def statistics(self, corpus: Corpus, *, progress: bool = False) -> Value:
        """Compute the value of the replies that have references.

        Raises:
            UserError: no reply has a reference.
        """
        from nltk.translate.nist_score import corpus_nist

        pairs = zip(corpus.hypotheses, corpus.references, strict=True)
        judged = [(h.lower().split(), [r.lower().split() for r in refs]) for h, refs in pairs if refs]
        if not judged:
            raise UserError("nltk_nist needs references, and no reply has one")
        try:
            score = float(corpus_nist([refs for _, refs in judged], [h for h, _ in judged], n=4))
        except ZeroDivisionError:  # NLTK divides by the number of n-grams of every order
            score = 0.0
        return Value({self.name: score}, {"n": len(judged)})

    def signature(self, corpus: Corpus) -> str:
        """Return order, tokenizer and NLTK's version."""
        return f"nltk_nist|n:4|tok:split-lc|nltk:{version('nltk')}"


METRIC = NltkNist
