"""Replies that equal a reference."""

from __future__ import annotations

DESCRIPTION = "share of replies that equal one of their references (white space and case folded), 0..1"


def compute(hypotheses, references, contexts=None):
    """Matches over replies that have references."""
    judged = [(h, refs) for h, refs in zip(hypotheses, references, strict=True) if refs]
    hits = sum(_fold(h) in map(_fold, refs) for h, refs in judged)
    return {
        "score": hits / len(judged) if judged else None,
        "signature": "exact_match|case:folded|space:folded",
        "n": len(judged),
        "left_out": len(hypotheses) - len(judged),
    }


def _fold(text: str) -> str:
    return " ".join(text.casefold().split())
