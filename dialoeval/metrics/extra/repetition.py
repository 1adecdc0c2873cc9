"""Repetition inside a reply."""

from __future__ import annotations

DESCRIPTION = "share of a reply's 1..4-grams that repeat an earlier one of it, over all replies, 0..1"


def compute(hypotheses, references, contexts=None):
    """Repeated n-grams over all n-grams, for n = 1..4; `score` is that of n = 4. Words are a split on white space."""
    shares = []
    for n in range(1, 5):
        total = repeated = 0
        for line in hypotheses:
            words = line.split()
            grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
            total += len(grams)
            repeated += len(grams) - len(set(grams))
        shares.append(repeated / total if total else 0.0)
    return {"score": shares[3], "by_order": shares, "signature": "repetition|tok:split|within-reply"}
