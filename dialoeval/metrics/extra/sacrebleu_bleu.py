"""sacrebleu's BLEU, 0..100 (Post 2018)."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from dialoeval.metrics.base import Array
from dialoeval.metrics.extra._sacrebleu import SacreBleuMetric
from dialoeval.metrics.figures import Figure


class SacreBleu(SacreBleuMetric):
    """Corpus BLEU with sacrebleu's defaults."""

    name = "sacrebleu_bleu"
    description = "sacrebleu's corpus BLEU (13a tokenizer, exp smoothing), 0..100"
    figures = (Figure("sacrebleu_bleu", "BLEU (sacrebleu)", unit="0..100", needs_references=True),)

    def make(self) -> Any:
        """Return sacrebleu's BLEU."""
        from sacrebleu.metrics.bleu import BLEU

        return BLEU()

    @cached_property
    def sentence_peer(self) -> Any:
        """BLEU with effective order, as sacrebleu computes it for single sentences."""
        from sacrebleu.metrics.bleu import BLEU

        return BLEU(effective_order=True)

    def reply_scores(self, rows: Array) -> Array:
        """Return (n,) sentence BLEU."""
        return np.array([self.sentence_peer._compute_score_from_stats(row.tolist()).score for row in rows])


METRIC = SacreBleu
