"""How long replies are."""

from __future__ import annotations

from collections import Counter

DESCRIPTION = "histogram of reply lengths in words (split on white space); its score is the median"


def compute(hypotheses, references, contexts=None):
    """{"words": count of replies} under `histogram`."""
    lengths = sorted(len(line.split()) for line in hypotheses)
    middle = len(lengths) // 2
    median = (lengths[middle] + lengths[~middle]) / 2 if lengths else None
    return {
        "score": median,
        "histogram": {str(words): count for words, count in sorted(Counter(lengths).items())},
        "signature": "length_histogram|tok:split",
    }
