"""BLEU-1..4, cumulative, as mteval-v14 prints it (0..1)."""

from __future__ import annotations

from typing import Any

import evaluate

from dialoeval import metrics
from dialoeval.metrics.evaluate_modules import _base


class BleuMteval(_base.Module):
    """`compute` returns ``{"bleu": BLEU-4, "bleu_by_order": [BLEU-1..4]}``."""

    def _info(self) -> evaluate.MetricInfo:
        return _base.info(__doc__, "Papineni et al. 2002; " + _base.DIALOGPT, _base.REFERENCE_INPUTS)

    def _compute(self, predictions: list[str], references: list[Any], protocol: str | None = None) -> dict[str, Any]:
        values = metrics.bleu(predictions, _base.reference_lists(references), protocol=protocol)
        return {"bleu": values[3], "bleu_by_order": values}
