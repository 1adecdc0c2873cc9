"""NIST-1..5, cumulative, as mteval-v14 prints it."""

from __future__ import annotations

from typing import Any

import evaluate

from dialoeval import metrics
from dialoeval.metrics.evaluate_modules import _base


class NistMteval(_base.Module):
    """`compute` returns ``{"nist": NIST-4, "nist_by_order": [NIST-1..5]}``."""

    def _info(self) -> evaluate.MetricInfo:
        return _base.info(__doc__, "Doddington 2002; " + _base.DIALOGPT, _base.REFERENCE_INPUTS)

    def _compute(self, predictions: list[str], references: list[Any], protocol: str | None = None) -> dict[str, Any]:
        values = metrics.nist(predictions, _base.reference_lists(references), protocol=protocol)
        return {"nist": values[3], "nist_by_order": values}
