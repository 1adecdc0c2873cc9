"""ROUGE-L (Lin 2004), from the longest common subsequence of a reply and its best reference."""

from __future__ import annotations

import re

import numpy as np

from dialoeval.metrics.base import Array, MeanMetric
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.figures import Figure

_WORD = re.compile(r"[a-z0-9]+")


class RougeL(MeanMetric):
    """Mean F1. A reply without references is left out; an empty reply scores 0."""

    name = "rouge_l"
    description = (
        "ROUGE-L F1 of the best reference, mean over replies, 0..1 (lower-cased, letters and digits, no stemming)"
    )
    figures = (Figure("rouge_l", "ROUGE-L", percent=True, unit="0..1", needs_references=True),)
    needs_references = True

    def per_reply(self, corpus: Corpus) -> Array:
        """Return (n,) largest F1 over the references, NaN without references."""
        return np.array(
            [
                max((_f1(_words(hypothesis), _words(reference)) for reference in refs), default=np.nan)
                for hypothesis, refs in zip(corpus.hypotheses, corpus.references, strict=True)
            ]
        )

    def signature(self, corpus: Corpus) -> str:
        """Return tokenizer and options."""
        return "rouge_l|f1|best-ref|tok:alnum-lc|stem:no"


METRIC = RougeL


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _f1(hypothesis: list[str], reference: list[str]) -> float:
    common = _lcs(hypothesis, reference)
    return 2 * common / (len(hypothesis) + len(reference)) if common else 0.0


def _lcs(a: list[str], b: list[str]) -> int:
    """Return the length of the longest common subsequence, by bit-parallel dynamic programming (Hyyrö 2004)."""
    masks: dict[str, int] = {}
    for position, word in enumerate(a):
        masks[word] = masks.get(word, 0) | 1 << position
    full = (1 << len(a)) - 1
    row = full
    for word in b:
        matched = row & masks.get(word, 0)
        row = (row + matched | row - matched) & full
    return len(a) - row.bit_count()
