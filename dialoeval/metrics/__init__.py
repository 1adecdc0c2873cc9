"""Metrics of generated replies, exactly as the paper's tools compute them.

``references[i]`` is the list of references of reply i; their number may vary. The plain functions take the text as it
is; `score` applies one of the paper's protocols (cleaning, reference slots) first.

    >>> from dialoeval.metrics import bleu
    >>> bleu(["the cat sat"], [["the cat sat", "a cat was sitting"]])
    [1.0, 1.0, 1.0, 1.0]
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "available",
    "bleu",
    "distinct",
    "entropy",
    "figure_names",
    "meteor",
    "nist",
    "score",
    "segments",
    "statistics",
]

PAPER_METRICS = {
    "nist": "NIST-1..5, cumulative, as mteval-v14 prints it",
    "bleu": "BLEU-1..4, cumulative, as mteval-v14 prints it (0..1)",
    "meteor": "METEOR 1.5 as meteor-1.5.jar -l en -norm prints it (0..1)",
    "entropy": "entropy of the 1..4-gram distribution of all replies, in nats",
    "distinct": "distinct 1,2-grams over all 1,2-grams of all replies (0..1)",
    "avg_len": "mean words a reply, empty ones counted as 0",
}


def available() -> dict[str, str]:
    """{name: what it is} of every metric: the paper's, then the extra ones."""
    from dialoeval.metrics import extra

    return PAPER_METRICS | extra.available()


def figure_names() -> tuple[str, ...]:
    """The flat names of the paper's figures, in the order of its tables."""
    from dialoeval.metrics.suite import FIGURES

    return FIGURES


def nist(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """Cumulative NIST-1..5 of the set.

    Raises:
        UserError: the lists do not fit.
    """
    return _figures(hypotheses, references, "nist", 5)


def bleu(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """Cumulative BLEU-1..4 of the set, 0..1.

    Raises:
        UserError: the lists do not fit.
    """
    return _figures(hypotheses, references, "bleu", 4)


def meteor(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """METEOR 1.5 of the set, 0..1. The subpackage `dialoeval.metrics.meteor15` has options, statistics and alignments.

    Raises:
        UserError: the lists do not fit, or METEOR's data is not installed.
    """
    from dialoeval.metrics import meteor15
    from dialoeval.metrics.protocol import check

    check(hypotheses, references)
    return float(meteor15.corpus(hypotheses, references))


def entropy(hypotheses: Sequence[str]) -> list[float]:
    """Entropy-1..4 of the replies, in nats."""
    return _diversity(hypotheses, "entropy", 4)


def distinct(hypotheses: Sequence[str]) -> list[float]:
    """Distinct-1 and distinct-2 of the replies, 0..1."""
    return _diversity(hypotheses, "distinct", 2)


def score(*args, **kwargs):
    """All of the paper's metrics under a protocol: see `dialoeval.metrics.scores.score`."""
    from dialoeval.metrics.scores import score as function

    return function(*args, **kwargs)


def statistics(*args, **kwargs):
    """Per-reply statistics that add up: see `dialoeval.metrics.suite.statistics`."""
    from dialoeval.metrics.suite import statistics as function

    return function(*args, **kwargs)


def segments(*args, **kwargs):
    """The scores of each reply: see `dialoeval.metrics.scores.segments`."""
    from dialoeval.metrics.scores import segments as function

    return function(*args, **kwargs)


def _figures(hypotheses: Sequence[str], references: Sequence[Sequence[str]], name: str, orders: int) -> list[float]:
    from dialoeval.errors import UserError
    from dialoeval.metrics.suite import statistics as function

    figures = function(hypotheses, references, meteor=False).figures()
    if f"{name}1" not in figures:
        raise UserError(f"{name} needs at least one reply with a reference")
    return [float(figures[f"{name}{n}"][0]) for n in range(1, orders + 1)]


def _diversity(hypotheses: Sequence[str], name: str, orders: int) -> list[float]:
    from dialoeval.metrics.diversity import Diversity

    figures = Diversity([line.split() for line in hypotheses]).figures()
    return [float(figures[f"{name}{n}"][0]) for n in range(1, orders + 1)]
