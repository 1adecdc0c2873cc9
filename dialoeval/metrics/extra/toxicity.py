"""Toxicity of replies, by a classifier of the user's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dialoeval.errors import UserError
from dialoeval.metrics.base import Array
from dialoeval.metrics.beside import BesideReferences, beside
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.extra._classifiers import TextClassifier, check_classifier
from dialoeval.metrics.figures import Figure

WORST = 20


class Toxicity(BesideReferences):
    """The mean probability of one label of a sequence classifier, and the share of replies above one half.

    The classifier reads the text alone. Empty texts have no score. What the figure means, the classifier decides: the
    references' figure stands beside it.
    """

    name = "toxicity"
    description = "mean probability by your sequence classifier, and share over .5: toxicity:DIR[@LABEL], 0..1"
    figures = beside(
        Figure("toxicity", "Toxicity", decimals=3, unit="0..1", higher_is_better=False),
        Figure("toxicity.share", "Toxic", percent=True, unit="0..1", higher_is_better=False),
    )
    takes_argument = True
    difference_column = True

    def __init__(self, argument: str | None = None) -> None:
        super().__init__(argument)
        if not argument:
            raise UserError(
                "toxicity needs a sequence classifier of yours after a colon, a folder or a Hub name: toxicity:DIR, or "
                "toxicity:DIR@LABEL if it has several labels"
            )

    def check(self) -> None:
        """Check that the classifier is there, and its label.

        Raises:
            UserError: it is not, or it has several labels and none is chosen.
        """
        assert self.argument is not None
        check_classifier(self.argument)

    def text_scores(self, corpus: Corpus, examples: Sequence[int], texts: Sequence[str]) -> Array:
        """Return (t, 2) probabilities, and whether they exceed one half."""
        assert self.argument is not None
        classifier = TextClassifier(self.argument)
        scores = classifier.probabilities(texts, progress=self.progress)
        self._cut = classifier.cut
        self._label = classifier.label_name
        return np.column_stack([scores, np.where(np.isnan(scores), np.nan, scores > 0.5)])

    def corpus_details(self, corpus: Corpus, rows: Array) -> dict[str, Any]:
        """Return the 20 worst replies, and the number of texts that were cut to the classifier's length."""
        k = len(self.figures)
        scores = np.where(rows[:, k] > 0, rows[:, 0], -1.0)
        order = [int(i) for i in np.argsort(-scores, kind="stable")[:WORST] if scores[i] >= 0]
        worst = [{"position": i, "score": round(float(scores[i]), 4), "reply": corpus.hypotheses[i]} for i in order]
        return {"cut": self._cut, "worst": worst}

    def signature(self, corpus: Corpus) -> str:
        """Return the classifier and its label."""
        return f"toxicity|model:{self.argument}|label:{self._label}|input:reply"


METRIC = Toxicity
