"""Self-BLEU (Zhu et al. 2018): the similarity of replies to each other; lower is more diverse."""

from __future__ import annotations

from collections import Counter

import numpy as np

from dialoeval.metrics import mteval_bleu
from dialoeval.metrics.base import Array, Metric, Value
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.figures import Figure
from dialoeval.text.mteval import tokenize

SAMPLE = 1000
SEED = 12345


class SelfBleu(Metric):
    """Mean BLEU-4 (mteval tokens and smoothing) of each sampled reply with the rest of the sample as references.

    Each score depends on all other replies, so that resampling gives no interval.
    """

    name = "self_bleu"
    description = "self-BLEU-4: each reply against the others (a seeded sample of 1,000), 0..100; lower is more diverse"
    figures = (Figure("self_bleu", "Self-BLEU", unit="0..100", higher_is_better=False, size_biased=True),)

    @property
    def reply_figure(self) -> None:
        """None: single replies have no score."""
        return None

    def statistics(self, corpus: Corpus, *, progress: bool = False) -> Value:
        """Compute the value of the sample."""
        words = tokenize(corpus.hypotheses[i] for i in _sample(len(corpus)))
        if len(words) < 2:
            return Value({}, {"n": len(words)})
        scores = bleu_figures(words, mteval_bleu.ORDERS)
        return Value({self.name: 100 * float(scores.mean())}, {"n": len(words)})

    def signature(self, corpus: Corpus) -> str:
        """Return order, tokenizer, smoothing, sample size and seed."""
        size = min(len(corpus), SAMPLE)
        if size < 2:
            return "self_bleu|too-few-replies"
        return f"self_bleu|n:4|tok:mteval-v14|smooth:mteval-exp|sample:{size}|seed:{SEED}"


METRIC = SelfBleu


def _sample(n: int) -> list[int]:
    if n <= SAMPLE:
        return list(range(n))
    indexes: list[int] = np.sort(np.random.default_rng(SEED).choice(n, SAMPLE, replace=False)).tolist()
    return indexes


def bleu_figures(words: list[list[str]], orders: int) -> Array:
    """Return (n,) BLEU-`orders` of each sentence against all others, from the two largest counts of each n-gram."""
    n = len(words)
    statistics = np.zeros((n, 2 * orders + 1))
    for order in range(1, orders + 1):
        grams = [Counter(zip(*(w[k:] for k in range(order)), strict=False)) for w in words]
        largest: dict[tuple[str, ...], tuple[int, int, int]] = {}  # largest count, its sentence, second largest count
        for i, counts in enumerate(grams):
            for gram, count in counts.items():
                first, owner, second = largest.get(gram, (0, -1, 0))
                largest[gram] = (count, i, first) if count > first else (first, owner, max(second, count))
        for i, counts in enumerate(grams):
            for gram, count in counts.items():
                first, owner, second = largest[gram]
                statistics[i, order - 1] += min(count, second if owner == i else first)
            statistics[i, orders + order - 1] = sum(counts.values())
    lengths = np.array([len(w) for w in words])
    for i in range(n):
        others = np.delete(lengths, i)
        distance = np.abs(others - lengths[i])
        statistics[i, 2 * orders] = others[distance == distance.min()].min()
    return mteval_bleu.figures(statistics)[:, -1]
