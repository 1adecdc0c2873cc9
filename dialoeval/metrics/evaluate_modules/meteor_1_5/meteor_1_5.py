"""METEOR 1.5, as meteor-1.5.jar -l en -norm prints it (0..1)."""

from __future__ import annotations

import evaluate

from dialoeval import metrics
from dialoeval.metrics.evaluate_modules import _base


class Meteor15(evaluate.Metric):
    """`compute` returns ``{"meteor": score of the set}``."""

    def _info(self):
        return _base.info(__doc__, "Denkowski and Lavie 2014; " + _base.DIALOGPT, _base.REFERENCE_INPUTS)

    def _compute(self, predictions, references):
        return {"meteor": metrics.meteor(predictions, _base.reference_lists(references))}
