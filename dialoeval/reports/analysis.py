"""Where a difference between two runs comes from: kinds of examples, wording, single replies."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dialoeval.metrics.system_statistics import Statistics
from dialoeval.runs.reader import LoadedRun

PRIOR_WORDS = 500.0  # strength of the prior of `telling_ngrams`, in n-grams
TELLING_Z = 1.96  # n-grams below this standard score are not listed: chance alone gives them


@dataclass(frozen=True)
class Bucket:
    """Examples of one kind, and the figures of both runs on them alone."""

    label: str
    examples: int
    a: dict[str, float]
    b: dict[str, float]


@dataclass(frozen=True)
class Ngram:
    """An n-gram that one run says more than the other.

    Attributes:
        a, b: how often each run says it; z: standard score of the log-odds ratio, positive where b says it more.
    """

    text: str
    a: int
    b: int
    z: float


@dataclass(frozen=True)
class Extreme:
    """A reply pair whose segment scores are far apart; difference: b - a."""

    index: int
    id: str
    context: list[str]
    a: str
    b: str
    references: list[str]
    difference: float


def buckets(a: Statistics, b: Statistics, values: Sequence[float], parts: int = 4) -> list[Bucket]:
    """Corpus figures of both runs on each part of the examples, cut at the quantiles of `values` (n,).

    Equal values are never parted, so that there may be fewer parts. The figures of a small part vary more, and entropy
    and distinct-n depend on how much text there is: they are to be compared between runs, not between parts.
    """
    array = np.asarray(values, dtype=float)
    cuts = np.unique(np.quantile(array, np.linspace(0, 1, parts + 1)[1:-1], method="lower"))
    place = np.searchsorted(cuts, array, side="left")  # a value equal to a cut lies below it
    kept = np.unique(place)
    weights = (place == kept[:, None]).astype(np.int64)
    ours, theirs = a.figures(weights), b.figures(weights)
    return [
        Bucket(
            _range(array[weights[i] > 0]),
            int(weights[i].sum()),
            {name: float(figures[i]) for name, figures in ours.items()},
            {name: float(figures[i]) for name, figures in theirs.items()},
        )
        for i in range(len(kept))
    ]


def _range(values: np.ndarray) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def telling_ngrams(a: Sequence[str], b: Sequence[str], n: int, most: int = 10) -> list[Ngram]:
    """The n-grams of words that tell two sets of replies apart best: those that b says more, then those that a does.

    Ranked by the standard score of the log-odds ratio with an informative Dirichlet prior (Monroe, Colaresi and Quinn
    2008, "Fightin' Words"), the prior being both sets' n-grams scaled to `PRIOR_WORDS`: unlike a difference of counts
    it does not list frequent words alone, and unlike a ratio it does not list rare ones alone.
    """
    counts = [_counts(replies, n) for replies in (a, b)]
    both = counts[0] + counts[1]
    total = sum(both.values())
    sizes = [sum(c.values()) + PRIOR_WORDS for c in counts]
    found = []
    for gram, count in both.items():
        prior = PRIOR_WORDS * count / total
        said = [c[gram] + prior for c in counts]
        odds = [math.log(said[i] / (sizes[i] - said[i])) if sizes[i] > said[i] else math.inf for i in (0, 1)]
        if math.inf in odds or counts[0][gram] == counts[1][gram]:
            continue
        z = (odds[1] - odds[0]) / math.sqrt(1 / said[0] + 1 / said[1])
        found.append(Ngram(gram, counts[0][gram], counts[1][gram], z))
    more_b = sorted((g for g in found if g.z >= TELLING_Z), key=lambda g: (-g.z, g.text))[:most]
    more_a = sorted((g for g in found if g.z <= -TELLING_Z), key=lambda g: (g.z, g.text))[:most]
    return more_b + more_a


def _counts(replies: Sequence[str], n: int) -> Counter[str]:
    counter: Counter[str] = Counter()
    for reply in replies:
        words = reply.split()
        counter.update(" ".join(words[i : i + n]) for i in range(len(words) - n + 1))
    return counter


def extremes(a: LoadedRun, b: LoadedRun, metric: str, most: int = 5) -> list[Extreme]:
    """The examples on which two runs differ most by a segment score: b's largest gains first, then its largest losses.

    Empty where the segment scores are not there. Equal differences keep the dataset's order.
    """
    scores = zip(a.segments.get(metric, ()), b.segments.get(metric, ()), strict=False)
    differences = [
        (right - left, i)
        for i, (left, right) in enumerate(scores)
        if left is not None and right is not None and left != right
    ]
    gains = sorted((pair for pair in differences if pair[0] > 0), key=lambda pair: (-pair[0], pair[1]))[:most]
    losses = sorted(pair for pair in differences if pair[0] < 0)[:most]
    return [
        Extreme(i, a.ids[i], a.contexts[i], a.replies[i], b.replies[i], a.references[i], difference)
        for difference, i in [*gains, *losses]
    ]


def commonest(replies: Sequence[str], most: int = 5) -> list[tuple[str, int]]:
    """The replies given more than once, most frequent first, with how often: what a dull model says to everything."""
    counted = Counter(" ".join(reply.split()) for reply in replies)
    ranked = sorted(((text, count) for text, count in counted.items() if count > 1), key=lambda p: (-p[1], p[0]))
    return ranked[:most]


def repeated_share(replies: Sequence[str]) -> float:
    """Share of replies whose text another reply of the run has too."""
    counted = Counter(" ".join(reply.split()) for reply in replies)
    return sum(count for count in counted.values() if count > 1) / max(1, len(replies))
