"""sacrebleu's translation edit rate, in percent, 0 and up (Snover et al. 2006)."""

from __future__ import annotations

from typing import Any

from dialoeval.metrics.extra._sacrebleu import SacreBleuMetric
from dialoeval.metrics.figures import Figure


class Ter(SacreBleuMetric):
    """Translation edit rate with sacrebleu's defaults."""

    name = "sacrebleu_ter"
    description = "sacrebleu's translation edit rate, in percent; lower is better"
    figures = (Figure("sacrebleu_ter", "TER", unit="percent", needs_references=True, higher_is_better=False),)

    def make(self) -> Any:
        """Return sacrebleu's TER."""
        from sacrebleu.metrics.ter import TER

        return TER()


METRIC = Ter
