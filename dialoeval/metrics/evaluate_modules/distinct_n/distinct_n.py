"""Distinct-1 and distinct-2: distinct n-grams / n-grams of all replies (0..1)."""

from __future__ import annotations

from typing import Any

import evaluate

from dialoeval import metrics
from dialoeval.metrics.evaluate_modules import _base


class DistinctN(_base.Module):
    """`compute` returns ``{"distinct1": ..., "distinct2": ...}``."""

    def _info(self) -> evaluate.MetricInfo:
        return _base.info(__doc__, "Li et al. 2016; " + _base.DIALOGPT, _base.REPLY_INPUTS)

    def _compute(self, predictions: list[str], protocol: str | None = None) -> dict[str, Any]:
        first, second = metrics.distinct(predictions, protocol=protocol)
        return {"distinct1": first, "distinct2": second}
