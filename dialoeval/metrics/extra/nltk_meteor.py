"""NLTK's METEOR, which differs from METEOR 1.5: an older formula without paraphrases."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np

from dialoeval.errors import UserError
from dialoeval.metrics.base import Array, MeanMetric
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.figures import Figure


class NltkMeteor(MeanMetric):
    """Mean of NLTK's segment scores on lower-cased words."""

    name = "nltk_meteor"
    description = "NLTK's meteor_score (not METEOR 1.5); needs NLTK's WordNet data"
    figures = (Figure("nltk_meteor", "METEOR (NLTK)", percent=True, unit="0..1", needs_references=True),)
    needs_references = True

    def check(self) -> None:
        """Check that NLTK has WordNet.

        Raises:
            UserError: it has not.
        """
        _score([["a"]], ["b"])

    def per_reply(self, corpus: Corpus) -> Array:
        """Return (n,) segment scores, NaN without references."""
        scores = np.full(len(corpus), np.nan)
        for i, (hypothesis, refs) in enumerate(zip(corpus.hypotheses, corpus.references, strict=True)):
            if refs:
                scores[i] = _score([r.lower().split() for r in refs], hypothesis.lower().split())
        return scores

    def signature(self, corpus: Corpus) -> str:
        """Return the tokenizer and NLTK's version."""
        return f"nltk_meteor|tok:split-lc|nltk:{version('nltk')}"


METRIC = NltkMeteor


def _score(references: list[list[str]], hypothesis: list[str]) -> float:
    from nltk.translate.meteor_score import meteor_score

    try:
        return float(meteor_score(references, hypothesis))
    except LookupError as error:
        raise UserError(
            "nltk_meteor needs NLTK's WordNet: python -m nltk.downloader wordnet (METEOR 1.5 does not need it)"
        ) from error
