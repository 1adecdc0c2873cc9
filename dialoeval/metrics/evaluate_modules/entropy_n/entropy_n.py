"""Entropy of the 1..4-gram distribution of all replies, in nats."""

from __future__ import annotations

from typing import Any

import evaluate

from dialoeval import metrics
from dialoeval.metrics.evaluate_modules import _base


class EntropyN(_base.Module):
    """`compute` returns ``{"entropy": entropy-4, "entropy_by_order": [entropy-1..4]}``."""

    def _info(self) -> evaluate.MetricInfo:
        return _base.info(__doc__, "Zhang et al. 2018; " + _base.DIALOGPT, _base.REPLY_INPUTS)

    def _compute(self, predictions: list[str], protocol: str | None = None) -> dict[str, Any]:
        values = metrics.entropy(predictions, protocol=protocol)
        return {"entropy": values[3], "entropy_by_order": values}
