"""What the three metrics of sacrebleu share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dialoeval.errors import UserError


def corpus(metric: Any, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Score with a sacrebleu metric; replies without references are left out, and counted."""
    pairs = [(h, refs) for h, refs in zip(hypotheses, references, strict=True) if refs]
    if not pairs:
        raise UserError("this metric needs references, and no reply has one")
    width = max(len(refs) for _, refs in pairs)
    streams = [[refs[k] if k < len(refs) else None for _, refs in pairs] for k in range(width)]
    result = metric.corpus_score([h for h, _ in pairs], streams)
    return {
        "score": result.score,
        "signature": str(metric.get_signature()),
        "n": len(pairs),
        "left_out": len(hypotheses) - len(pairs),
    }
