"""METEOR 1.5, as meteor-1.5.jar -l en -norm prints it (0..1)."""

from __future__ import annotations

from typing import Any

import evaluate

from dialoeval import metrics
from dialoeval.metrics.evaluate_modules import _base


class Meteor15(_base.Module):
    """`compute` returns ``{"meteor": score of the set}``."""

    def _info(self) -> evaluate.MetricInfo:
        return _base.info(__doc__, "Denkowski and Lavie 2014; " + _base.DIALOGPT, _base.REFERENCE_INPUTS)

    def _compute(self, predictions: list[str], references: list[Any], protocol: str | None = None) -> dict[str, Any]:
        return {"meteor": metrics.meteor(predictions, _base.reference_lists(references), protocol=protocol)}
