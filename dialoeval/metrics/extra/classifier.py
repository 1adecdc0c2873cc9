"""The score of a reply in its context by a sequence classifier, such as DialogRPT."""

from __future__ import annotations

import numpy as np

from dialoeval.errors import UserError
from dialoeval.metrics.base import Array
from dialoeval.metrics.beside import contexts_of
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.extra._classifiers import check_classifier, response_classifier
from dialoeval.metrics.extra._windows import WindowMean
from dialoeval.metrics.figures import Figure


class ClassifierScore(WindowMean):
    """The mean score of context and reply: the sigmoid of a single logit, or the probability of a label.

    The classifier reads the turns and the reply with the end-of-text token between them, as ``decoding=dialogrpt`` does
    when it chooses among candidates. No references are used. A reply without a context has no score.

    Source: Gao et al. (2020), "Dialogue Response Ranking Training with Large-Scale Human Feedback Data".
    """

    name = "classifier"
    description = "mean score of context and reply by a classifier such as DialogRPT: classifier:MODEL[@LABEL], 0..1"
    figures = (Figure("classifier", "Classifier", decimals=3, unit="0..1"),)
    takes_argument = True

    def __init__(self, argument: str | None = None) -> None:
        super().__init__(argument)
        if not argument:
            raise UserError(
                "classifier needs a sequence classifier of context and reply after a colon, a Hub name or a folder: "
                "classifier:microsoft/DialogRPT-updown"
            )

    def check(self) -> None:
        """Check that the classifier is there, and its label.

        Raises:
            UserError: it is not, or it has several labels and none is chosen.
        """
        assert self.argument is not None
        check_classifier(self.argument)

    def per_reply(self, corpus: Corpus) -> Array:
        """Return (n,) scores, NaN without a context.

        Raises:
            UserError: no reply has a context, or a score is not finite.
        """
        assert self.argument is not None
        contexts = contexts_of(self.name, corpus)
        classifier, label = response_classifier(self.argument)
        self._label = label
        scored = [i for i, turns in enumerate(contexts) if any(turn.strip() for turn in turns)]
        wholes, window = [classifier.whole(contexts[i], corpus.hypotheses[i]) for i in scored], classifier.loaded.window
        self.cut = np.zeros(len(corpus))
        self.cut[scored] = [len(ids) > window for ids in wholes]
        values = np.array(classifier.probabilities([ids[-window:] for ids in wholes]), dtype=float)
        if not np.isfinite(values).all():
            raise UserError(f"{classifier.loaded.name} returns scores that are not finite: its weights are broken")
        scores = np.full(len(corpus), np.nan)
        scores[scored] = values
        return scores

    def signature(self, corpus: Corpus) -> str:
        """Return the classifier, its label, and what it reads."""
        return f"classifier|model:{self.argument}|label:{self._label}|input:context<eos>reply"


METRIC = ClassifierScore
