"""ROUGE-L (Lin 2004): the longest common subsequence of a reply and its best reference."""

from __future__ import annotations

import re

DESCRIPTION = "ROUGE-L F1 of the best reference, mean over replies, 0..1 (lower-cased, letters and digits, no stemming)"

_WORD = re.compile(r"[a-z0-9]+")


def compute(hypotheses, references, contexts=None):
    """Mean F1; a reply without references is left out, an empty one scores 0."""
    scores = [
        max(_f1(_WORD.findall(hypothesis.lower()), _WORD.findall(reference.lower())) for reference in refs)
        for hypothesis, refs in zip(hypotheses, references, strict=True)
        if refs
    ]
    return {
        "score": sum(scores) / len(scores) if scores else None,
        "signature": "rouge_l|f1|best-ref|tok:alnum-lc|stem:no",
        "n": len(scores),
        "left_out": len(hypotheses) - len(scores),
    }


def _f1(hypothesis: list[str], reference: list[str]) -> float:
    common = _lcs(hypothesis, reference)
    return 2 * common / (len(hypothesis) + len(reference)) if common else 0.0


def _lcs(a: list[str], b: list[str]) -> int:
    """Length of the longest common subsequence, by bit-parallel dynamic programming (Hyyro 2004)."""
    masks: dict[str, int] = {}
    for position, word in enumerate(a):
        masks[word] = masks.get(word, 0) | 1 << position
    full = (1 << len(a)) - 1
    row = full
    for word in b:
        matched = row & masks.get(word, 0)
        row = (row + matched | row - matched) & full
    return len(a) - row.bit_count()
