"""Metrics of generated replies, exactly as the paper's tools compute them.

``references[i]`` is the list of references of reply i; their number may vary. The plain functions take the text as it
is; `score` applies one of the paper's protocols (cleaning, reference slots) first.

    >>> from dialoeval.metrics import bleu
    >>> bleu(["the cat sat"], [["the cat sat", "a cat was sitting"]])
    [1.0, 1.0, 1.0, 1.0]

METEOR's options, statistics and alignments: `dialoeval.metrics.meteor15`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dialoeval.metrics.figures import FIGURES, PAPER_METRICS

if TYPE_CHECKING:
    from dialoeval.metrics.corpus import Statistics
    from dialoeval.metrics.scores import Scores

__all__ = [
    "AVAILABLE",
    "FIGURES",
    "bleu",
    "distinct",
    "entropy",
    "meteor",
    "nist",
    "score",
    "segments",
    "statistics",
]


def __getattr__(name: str) -> Any:
    if name == "AVAILABLE":  # {name: what it is} of every metric: the paper's, then the extra ones
        from dialoeval.metrics import extra

        return PAPER_METRICS | extra.available()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def nist(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """Cumulative NIST-1..5 of the set.

    Raises:
        UserError: the lists do not fit, or no reply has a reference.
    """
    return _overlap_figures(hypotheses, references, "nist", 5)


def bleu(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """Cumulative BLEU-1..4 of the set, 0..1.

    Raises:
        UserError: the lists do not fit, or no reply has a reference.
    """
    return _overlap_figures(hypotheses, references, "bleu", 4)


def meteor(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """METEOR 1.5 of the set, 0..1.

    Raises:
        UserError: the lists do not fit, or METEOR's data is not installed.
    """
    from dialoeval.metrics import meteor15
    from dialoeval.metrics.protocol import check

    check(hypotheses, references)
    return float(meteor15.corpus(hypotheses, references))


def entropy(hypotheses: Sequence[str]) -> list[float]:
    """Entropy-1..4 of the replies, in nats."""
    return _diversity_figures(hypotheses, "entropy", 4)


def distinct(hypotheses: Sequence[str]) -> list[float]:
    """Distinct-1 and distinct-2 of the replies, 0..1."""
    return _diversity_figures(hypotheses, "distinct", 2)


def score(*args: Any, **kwargs: Any) -> Scores:
    """All of the paper's metrics under a protocol: see `dialoeval.metrics.scores.score`."""
    from dialoeval.metrics.scores import score as function

    return function(*args, **kwargs)


def statistics(*args: Any, **kwargs: Any) -> Statistics:
    """Per-reply statistics that add up: see `dialoeval.metrics.corpus.statistics`."""
    from dialoeval.metrics.corpus import statistics as function

    return function(*args, **kwargs)


def segments(*args: Any, **kwargs: Any) -> list[dict[str, Any]]:
    """The scores of each reply: see `dialoeval.metrics.scores.segments`."""
    from dialoeval.metrics.scores import segments as function

    return function(*args, **kwargs)


def _overlap_figures(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], name: str, orders: int
) -> list[float]:
    from dialoeval.errors import UserError

    figures = statistics(hypotheses, references, meteor=False).figures()
    if f"{name}1" not in figures:
        raise UserError(f"{name} needs at least one reply with a reference")
    return [float(figures[f"{name}{n}"][0]) for n in range(1, orders + 1)]


def _diversity_figures(hypotheses: Sequence[str], name: str, orders: int) -> list[float]:
    from dialoeval.metrics.diversity import Diversity
    from dialoeval.metrics.protocol import check

    check(hypotheses, [()] * len(hypotheses))
    figures = Diversity([line.split() for line in hypotheses]).figures()
    return [float(figures[f"{name}{n}"][0]) for n in range(1, orders + 1)]
