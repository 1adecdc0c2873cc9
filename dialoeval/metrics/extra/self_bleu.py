"""Self-BLEU (Zhu et al. 2018): how alike replies are; lower is more diverse."""

from __future__ import annotations

import numpy as np

DESCRIPTION = "self-BLEU-4: each reply against the others (a seeded sample of 1,000), 0..100; lower is more diverse"

SAMPLE = 1000
SEED = 12345


def compute(hypotheses, references, contexts=None):
    """Mean BLEU-4 (mteval tokens and smoothing) of each sampled reply with the others of the sample as references."""
    from dialoeval.metrics import mteval_bleu
    from dialoeval.text.mteval import tokenize

    chosen = range(len(hypotheses))
    if len(hypotheses) > SAMPLE:
        chosen = np.sort(np.random.default_rng(SEED).choice(len(hypotheses), SAMPLE, replace=False))
    words = tokenize(hypotheses[i] for i in chosen)
    if len(words) < 2:
        return {"score": None, "signature": "self_bleu|too-few-replies", "n": len(words)}
    scores = bleu_figures(words, mteval_bleu.ORDERS)
    return {
        "score": 100 * float(scores.mean()),
        "signature": f"self_bleu|n:4|tok:mteval-v14|smooth:mteval-exp|sample:{len(words)}|seed:{SEED}",
        "n": len(words),
    }


def bleu_figures(words: list[list[str]], orders: int) -> np.ndarray:
    """(n,) BLEU-`orders` of each sentence against all others, from the two largest counts of each n-gram."""
    from collections import Counter

    from dialoeval.metrics import mteval_bleu

    n = len(words)
    statistics = np.zeros((n, 2 * orders + 1))
    for order in range(1, orders + 1):
        grams = [Counter(zip(*(w[k:] for k in range(order)), strict=False)) for w in words]
        top: dict[tuple[str, ...], tuple[int, int, int]] = {}
        for i, counts in enumerate(grams):
            for gram, count in counts.items():
                best, who, second = top.get(gram, (0, -1, 0))
                top[gram] = (count, i, best) if count > best else (best, who, max(second, count))
        for i, counts in enumerate(grams):
            for gram, count in counts.items():
                best, who, second = top[gram]
                statistics[i, order - 1] += min(count, second if who == i else best)
            statistics[i, orders + order - 1] = sum(counts.values())
    lengths = np.array([len(w) for w in words])
    for i in range(n):
        others = np.delete(lengths, i)
        distance = np.abs(others - lengths[i])
        statistics[i, 2 * orders] = others[distance == distance.min()].min()
    return mteval_bleu.figures(statistics)[:, -1]
