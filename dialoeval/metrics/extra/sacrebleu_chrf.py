"""sacrebleu's chrF2, 0..100 (Popovic 2015)."""

from __future__ import annotations

from typing import Any

from dialoeval.metrics.extra._sacrebleu import SacreBleuMetric
from dialoeval.metrics.figures import Figure


class ChrF(SacreBleuMetric):
    """Character n-gram F-score with sacrebleu's defaults."""

    name = "sacrebleu_chrf"
    description = "sacrebleu's chrF2, 0..100"
    figures = (Figure("sacrebleu_chrf", "chrF2", unit="0..100", needs_references=True),)

    def make(self) -> Any:
        """Return sacrebleu's chrF."""
        from sacrebleu.metrics.chrf import CHRF

        return CHRF()


METRIC = ChrF
