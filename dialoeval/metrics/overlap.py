"""Clipped n-gram matches of replies with their references, as mteval-v14 counts them: what NIST and BLEU share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dialoeval.metrics.ngrams import Ngrams, code_words, count_by, ngrams

ORDERS = 5  # NIST is printed to 5, BLEU to 4


@dataclass(frozen=True)
class Overlap:
    """Per-reply counts; every row adds up over replies.

    Attributes:
        matches: (n, 5) n-grams of the reply that a reference has, each counted at most as often as in the one
            reference that has it most.
        totals: (n, 5) n-grams of the reply.
        information: (n, 5) sum of the NIST information weights, in bits, of the matches.
        closest: (n,) length of the reference whose length is closest to the reply's; the shorter of two.
        reference_words: (n,) mean length of the reply's references.

    A reply without references has zeros everywhere: it takes no part in NIST and BLEU.
    """

    matches: np.ndarray
    totals: np.ndarray
    information: np.ndarray
    closest: np.ndarray
    reference_words: np.ndarray


def overlap(hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> Overlap:
    """Count the overlap of tokenized replies with their tokenized references (`references[i]`: those of reply i)."""
    n = len(hypotheses)
    judged = np.array([len(refs) > 0 for refs in references], dtype=bool)
    sentences = [words if judged[i] else () for i, words in enumerate(hypotheses)]
    owners = np.repeat(np.arange(n), [len(refs) for refs in references])
    sentences += [words for refs in references for words in refs]
    words, sentence, vocabulary = code_words(sentences)

    matches = np.zeros((n, ORDERS))
    totals = np.zeros((n, ORDERS))
    information = np.zeros((n, ORDERS))
    lower: np.ndarray | None = None  # reference counts of the order below
    reference_word_total = int((sentence >= n).sum())
    for order, grams in enumerate(ngrams(words, sentence, ORDERS), 1):
        in_references = grams.sentences >= n
        counts = np.bincount(grams.ids[in_references], minlength=grams.types)
        weights = _information(order, grams, in_references, counts, lower, reference_word_total, vocabulary)
        who, which, clipped = _clipped(grams, owners, n)
        hypothesis_sentences = grams.sentences[~in_references]
        totals[:, order - 1] = np.bincount(hypothesis_sentences, minlength=n)
        matches[:, order - 1] = np.bincount(who, weights=clipped, minlength=n)
        information[:, order - 1] = np.bincount(who, weights=clipped * weights[which], minlength=n)
        lower = counts
    closest, reference_words = _reference_lengths(hypotheses, references)
    return Overlap(matches, totals, information, closest, reference_words)


def _information(
    order: int,
    grams: Ngrams,
    in_references: np.ndarray,
    counts: np.ndarray,
    lower: np.ndarray | None,
    total: int,
    vocabulary: dict[str, int],
) -> np.ndarray:
    """Information weight in bits of every n-gram: log2(count of its prefix / its count) over all references.

    For a single word, and where the prefix is the string "0" (false in Perl), the count of all words stands for the
    prefix's. n-grams that no reference has get 0, and are never matched.
    """
    numerator = np.full(grams.types, float(total))
    if lower is not None:
        prefix_of = np.zeros(grams.types, dtype=np.int64)
        prefix_of[grams.ids] = grams.prefixes
        numerator = lower[prefix_of].astype(float)
        if order == 2 and "0" in vocabulary:
            numerator[prefix_of == vocabulary["0"]] = total
    weights = np.zeros(grams.types)
    seen = counts > 0
    weights[seen] = np.log2(numerator[seen] / counts[seen])
    return weights


def _clipped(grams: Ngrams, owners: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(reply, n-gram, clipped count) of every n-gram that a reply shares with one of its references."""
    groups, ids, counts = count_by(grams.sentences, grams.ids, grams.types)
    hypothesis = groups < n
    types = max(grams.types, 1)
    wanted = groups[hypothesis] * types + ids[hypothesis]  # sorted, distinct
    offered = owners[groups[~hypothesis] - n] * types + ids[~hypothesis]
    slots = np.searchsorted(wanted, offered)
    found = slots < len(wanted)
    found[found] = wanted[slots[found]] == offered[found]
    best = np.zeros(len(wanted), dtype=np.int64)
    np.maximum.at(best, slots[found], counts[~hypothesis][found])
    clipped = np.minimum(best, counts[hypothesis])
    kept = clipped > 0
    return groups[hypothesis][kept], ids[hypothesis][kept], clipped[kept].astype(float)


def _reference_lengths(
    hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> tuple[np.ndarray, np.ndarray]:
    closest = np.zeros(len(hypotheses))
    mean = np.zeros(len(hypotheses))
    for i, (hypothesis, refs) in enumerate(zip(hypotheses, references, strict=True)):
        if refs:
            lengths = [len(words) for words in refs]
            closest[i] = min(lengths, key=lambda length: (abs(length - len(hypothesis)), length))
            mean[i] = sum(lengths) / len(lengths)
    return closest, mean
