"""Metrics of generated replies, exactly as the paper's tools compute them.

``references[i]`` holds the references of reply i; their number may vary. The functions here use the text as given,
or first apply one of the paper's protocols (cleaning, reference slots). `score` adds intervals and signatures.

>>> from dialoeval.metrics import bleu
>>> bleu(["the cat sat"], [["the cat sat", "a cat was sitting"]])
[1.0, 1.0, 1.0, 1.0]

METEOR's options, statistics and alignments are in `dialoeval.metrics.meteor15`, the metric interface is in
`dialoeval.metrics.base`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from dialoeval.metrics.figures import FIGURES

if TYPE_CHECKING:
    from dialoeval.config import ProtocolConfig
    from dialoeval.metrics.base import MeanMetric, Metric, RowMetric
    from dialoeval.metrics.figures import Figure
    from dialoeval.metrics.registry import available
    from dialoeval.metrics.scores import Scores, score
    from dialoeval.metrics.system_statistics import Statistics, statistics

# Names imported on first use, since numpy and others are slow to import.
_LAZY = {
    "Figure": "figures",
    "MeanMetric": "base",
    "Metric": "base",
    "RowMetric": "base",
    "Scores": "scores",
    "Statistics": "system_statistics",
    "available": "registry",
    "score": "scores",
    "statistics": "system_statistics",
}

__all__ = [
    "FIGURES",
    "Figure",
    "MeanMetric",
    "Metric",
    "RowMetric",
    "Scores",
    "Statistics",
    "available",
    "bleu",
    "distinct",
    "entropy",
    "meteor",
    "nist",
    "score",
    "statistics",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__


def nist(
    hypotheses: Iterable[str], references: Iterable[Iterable[str]], *, protocol: ProtocolConfig | str | None = None
) -> list[float]:
    """Return cumulative NIST-1..5 of the set, in bits per word (Doddington 2002; mteval-v14).

    Args:
        hypotheses: n replies: a list, tuple, generator, numpy array or pandas Series of strings.
        references: for each reply, the list of its references.
        protocol: ``"dstc7"``, ``"reddit6k"`` or ``"none"``, or its settings; None: text as given.

    Raises:
        UserError: the lengths differ, an entry is not a string, or no reply has a reference.

    Examples:
        >>> [round(x, 4) for x in nist(["i like it"], [["i like it a lot"]])]
        [0.7728, 0.7728, 0.7728, 0.7728, 0.7728]
    """
    return _overlap_figures(hypotheses, references, protocol, "nist", 5)


def bleu(
    hypotheses: Iterable[str], references: Iterable[Iterable[str]], *, protocol: ProtocolConfig | str | None = None
) -> list[float]:
    """Return cumulative BLEU-1..4 of the set, 0..1 (Papineni et al. 2002; smoothed as in mteval-v14).

    Args:
        hypotheses: n replies: a list, tuple, generator, numpy array or pandas Series of strings.
        references: for each reply, the list of its references.
        protocol: ``"dstc7"``, ``"reddit6k"`` or ``"none"``, or its settings; None: text as given.

    Raises:
        UserError: the lengths differ, an entry is not a string, or no reply has a reference.

    Examples:
        >>> [round(x, 4) for x in bleu(["i like it"], [["i like it a lot"]])]
        [0.5134, 0.5134, 0.5134, 0.5134]
    """
    return _overlap_figures(hypotheses, references, protocol, "bleu", 4)


def meteor(
    hypotheses: Iterable[str], references: Iterable[Iterable[str]], *, protocol: ProtocolConfig | str | None = None
) -> float:
    """Return METEOR 1.5 of the set, 0..1 (Denkowski and Lavie 2014), as ``meteor-1.5.jar -l en -norm`` prints it.

    Args:
        hypotheses: n replies: a list, tuple, generator, numpy array or pandas Series of strings.
        references: for each reply, the list of its references.
        protocol: ``"dstc7"``, ``"reddit6k"`` or ``"none"``, or its settings; None: text as given.

    Raises:
        UserError: the lengths differ, an entry is not a string, or METEOR's data is not installed.
    """
    from dialoeval.metrics import meteor15
    from dialoeval.metrics.corpus import corpus
    from dialoeval.metrics.scores import protocol_named

    texts = corpus(hypotheses, references, protocol_named(protocol)).texts
    return float(meteor15.corpus(texts.hypotheses, texts.references))


def entropy(hypotheses: Iterable[str], *, protocol: ProtocolConfig | str | None = None) -> list[float]:
    """Return entropy-1..4 of the n-gram distribution of the replies, in nats (Zhang et al. 2018).

    Raises:
        UserError: an entry is not a string.

    Examples:
        >>> [round(x, 4) for x in entropy(["a a b", "a"])]
        [0.5623, 0.6931, 0.0, 0.0]
    """
    return _diversity_figures(hypotheses, protocol, "entropy", 4)


def distinct(hypotheses: Iterable[str], *, protocol: ProtocolConfig | str | None = None) -> list[float]:
    """Return distinct-1 and distinct-2 of the replies: distinct n-grams / n-grams, 0..1 (Li et al. 2016).

    Raises:
        UserError: an entry is not a string.

    Examples:
        >>> distinct(["a a b", "a"])
        [0.5, 1.0]
    """
    return _diversity_figures(hypotheses, protocol, "distinct", 2)


def _overlap_figures(
    hypotheses: Iterable[str],
    references: Iterable[Iterable[str]],
    protocol: ProtocolConfig | str | None,
    name: str,
    orders: int,
) -> list[float]:
    from dialoeval.errors import UserError
    from dialoeval.metrics.scores import protocol_named
    from dialoeval.metrics.system_statistics import statistics

    figures = statistics(hypotheses, references, protocol_named(protocol), meteor=False).figures()
    if f"{name}1" not in figures:
        raise UserError(f"{name} needs at least one reply with a reference")
    return [float(figures[f"{name}{n}"][0]) for n in range(1, orders + 1)]


def _diversity_figures(
    hypotheses: Iterable[str], protocol: ProtocolConfig | str | None, name: str, orders: int
) -> list[float]:
    from dialoeval.metrics.corpus import corpus
    from dialoeval.metrics.diversity import Diversity
    from dialoeval.metrics.inputs import reply_list
    from dialoeval.metrics.scores import protocol_named

    replies = reply_list(hypotheses)
    figures = Diversity(corpus(replies, [[]] * len(replies), protocol_named(protocol)).words).figures()
    return [float(figures[f"{name}{n}"][0]) for n in range(1, orders + 1)]
