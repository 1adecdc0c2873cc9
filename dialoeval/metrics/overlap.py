"""Clipped n-gram matches of replies with their references as in mteval-v14, shared by NIST and BLEU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dialoeval.metrics.ngrams import Ngrams, code_words, count_by, ngrams

ORDERS = 5  # NIST uses orders 1..5, BLEU 1..4


@dataclass(frozen=True)
class Overlap:
    """Counts of each reply, which add up over replies. A reply without references has zeros everywhere.

    Attributes:
        matches: (n, 5) n-grams of the reply that occur in a reference, clipped to the largest count in one reference.
        totals: (n, 5) n-grams of the reply.
        information: (n, 5) sum of the NIST information weights of the matches, in bits.
        closest: (n,) length in words of the reference closest in length to the reply; the shorter of two.
        reference_words: (n,) mean length of the references in words.
    """

    matches: np.ndarray
    totals: np.ndarray
    information: np.ndarray
    closest: np.ndarray
    reference_words: np.ndarray


def overlap(hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> Overlap:
    """Count the overlap of tokenized replies with their tokenized references; `references[i]` are those of reply i."""
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
        replies, ids, clipped = _clipped(grams, owners, n)
        hypothesis_sentences = grams.sentences[~in_references]
        totals[:, order - 1] = np.bincount(hypothesis_sentences, minlength=n)
        matches[:, order - 1] = np.bincount(replies, weights=clipped, minlength=n)
        information[:, order - 1] = np.bincount(replies, weights=clipped * weights[ids], minlength=n)
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
    """Return the information weight of each n-gram in bits: log2(count of its prefix / its count) in all references.

    The count of all words replaces the prefix's count for single words and for the prefix "0", which is false in
    mteval's Perl. N-grams that occur in no reference have weight 0; they never match.
    """
    numerator = np.full(grams.types, float(total))
    if lower is not None:
        prefix_of = np.zeros(grams.types, dtype=np.int64)
        prefix_of[grams.ids] = grams.prefixes
        numerator = lower[prefix_of].astype(float)
        if order == 2 and "0" in vocabulary:
            numerator[prefix_of == vocabulary["0"]] = total
    weights = np.zeros(grams.types)
    occurs = counts > 0
    weights[occurs] = np.log2(numerator[occurs] / counts[occurs])
    return weights


def _clipped(grams: Ngrams, owners: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (reply, n-gram, clipped count) of every n-gram that a reply shares with one of its references."""
    groups, ids, counts = count_by(grams.sentences, grams.ids, grams.types)
    hypothesis = groups < n
    types = max(grams.types, 1)
    reply_keys = groups[hypothesis] * types + ids[hypothesis]  # sorted, distinct
    reference_keys = owners[groups[~hypothesis] - n] * types + ids[~hypothesis]
    slots = np.searchsorted(reply_keys, reference_keys)
    shared = slots < len(reply_keys)
    shared[shared] = reply_keys[slots[shared]] == reference_keys[shared]
    largest = np.zeros(len(reply_keys), dtype=np.int64)
    np.maximum.at(largest, slots[shared], counts[~hypothesis][shared])
    clipped = np.minimum(largest, counts[hypothesis])
    matches = clipped > 0
    return groups[hypothesis][matches], ids[hypothesis][matches], clipped[matches].astype(float)


def _reference_lengths(
    hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> tuple[np.ndarray, np.ndarray]:
    """Return `Overlap.closest` and `Overlap.reference_words`."""
    closest = np.zeros(len(hypotheses))
    mean = np.zeros(len(hypotheses))
    for i, (hypothesis, refs) in enumerate(zip(hypotheses, references, strict=True)):
        if refs:
            lengths = [len(words) for words in refs]
            closest[i] = min(lengths, key=lambda length: (abs(length - len(hypothesis)), length))
            mean[i] = sum(lengths) / len(lengths)
    return closest, mean
