"""Where a difference between two runs comes from: kinds of examples, wording, single replies."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dialoeval.metrics.system_statistics import Statistics
from dialoeval.runs.reader import LoadedRun, reply_scores

PRIOR_NGRAMS = 500.0  # strength of the prior of `distinctive_ngrams`
DISTINCTIVE_Z = 1.96  # n-grams below this standard score are not listed: chance alone gives them


@dataclass(frozen=True)
class Bucket:
    """Examples of one kind, and the figures of both runs on them alone."""

    label: str
    examples: int
    a: dict[str, float]
    b: dict[str, float]


@dataclass(frozen=True)
class Ngram:
    """An n-gram that is over-represented in the replies of one run.

    Attributes:
        a: how often run A says it.
        b: how often run B says it.
        z: standard score of the log-odds ratio, positive if it is over-represented in B.
    """

    text: str
    a: int
    b: int
    z: float


@dataclass(frozen=True)
class Extreme:
    """Replies of both runs to one example, whose scores are far apart.

    Attributes:
        index: of the example.
        difference: the score of B's reply minus that of A's.
    """

    index: int
    id: str
    context: list[str]
    a: str
    b: str
    references: list[str]
    difference: float


@dataclass(frozen=True)
class Explanation:
    """Where the difference between two runs comes from.

    Attributes:
        identical: how many replies are the same in both.
        repeated: of each run, the share of replies that it gave more than once.
        most_frequent: of each run, the most frequent of these, with how often.
        buckets: {property of an example: figures of both runs on each part of the examples}.
        ngrams: {"1-grams" ...: those over-represented in one run}.
        extremes: {score of single replies: the examples on which it differs most}.
    """

    identical: int
    repeated: tuple[float, float]
    most_frequent: tuple[list[tuple[str, int]], list[tuple[str, int]]]
    buckets: dict[str, list[Bucket]]
    ngrams: dict[str, list[Ngram]]
    extremes: dict[str, list[Extreme]]


def explain(a: LoadedRun, b: LoadedRun, stats_a: Statistics, stats_b: Statistics) -> Explanation:
    """Return where the difference between two runs on the same examples comes from.

    Args:
        a: the baseline.
        b: the other run.
        stats_a: statistics of run A's replies.
        stats_b: statistics of run B's.
    """
    # by the mean of both replies' lengths: cutting by one run's own would favour the other (regression to the mean)
    pairs = list(zip(a.hypotheses, b.hypotheses, strict=True))
    lengths = [(len(x.split()) + len(y.split())) / 2 for x, y in pairs]
    words = [sum(len(turn.split()) for turn in context) for context in a.contexts]
    texts = (stats_a.corpus.texts.hypotheses, stats_b.corpus.texts.hypotheses)
    return Explanation(
        identical=sum(x == y for x, y in pairs),
        repeated=(repeated_share(a.hypotheses), repeated_share(b.hypotheses)),
        most_frequent=(most_frequent(a.hypotheses), most_frequent(b.hypotheses)),
        buckets={
            "words in the context": buckets(stats_a, stats_b, words),
            "turns in the context": buckets(stats_a, stats_b, [len(context) for context in a.contexts]),
            "words in the reply, mean of both": buckets(stats_a, stats_b, lengths),
        },
        ngrams={f"{n}-grams": distinctive_ngrams(*texts, n) for n in (1, 2, 3)},
        extremes={name: extremes(a, b, name) for name in reply_scores([a, b])},
    )


def buckets(a: Statistics, b: Statistics, values: Sequence[float], parts: int = 4) -> list[Bucket]:
    """Return corpus figures of both runs on each part of the examples, cut at the quantiles of `values`.

    Equal values stay in one part, so that there may be fewer parts. The figures of a small part vary more, and entropy
    and distinct-n depend on how much text there is: compare them between runs, not between parts.

    Args:
        a: statistics of run A's replies.
        b: statistics of run B's.
        values: (n,) a property of each example.
        parts: at most so many.
    """
    array = np.asarray(values, dtype=float)
    cuts = np.unique(np.quantile(array, np.linspace(0, 1, parts + 1)[1:-1], method="lower"))
    part = np.searchsorted(cuts, array, side="left")  # a value equal to a cut lies below it
    weights = (part == np.unique(part)[:, None]).astype(np.int64)  # (parts, n)
    figures_a, figures_b = a.figures(weights), b.figures(weights)
    return [
        Bucket(
            _range(array[row > 0]),
            int(row.sum()),
            {name: float(figures[i]) for name, figures in figures_a.items()},
            {name: float(figures[i]) for name, figures in figures_b.items()},
        )
        for i, row in enumerate(weights)
    ]


def _range(values: np.ndarray) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def distinctive_ngrams(a: Sequence[str], b: Sequence[str], n: int, most: int = 10) -> list[Ngram]:
    """Return the n-grams of words over-represented in one of two sets of replies: first those in b, then those in a.

    Ranked by the standard score of the log-odds ratio with an informative Dirichlet prior (Monroe, Colaresi and Quinn
    2008, "Fightin' Words"), the prior being both sets' n-grams scaled to `PRIOR_NGRAMS`: unlike a difference of counts
    it does not list frequent words alone, and unlike a ratio it does not list rare ones alone.
    """
    counts = [_counts(replies, n) for replies in (a, b)]
    both = counts[0] + counts[1]
    total = sum(both.values())
    sizes = [sum(c.values()) + PRIOR_NGRAMS for c in counts]
    ngrams = []
    for text, count in both.items():
        prior = PRIOR_NGRAMS * count / total
        smoothed = [c[text] + prior for c in counts]
        odds = [math.log(x / (size - x)) if size > x else math.inf for x, size in zip(smoothed, sizes, strict=True)]
        if math.inf in odds or counts[0][text] == counts[1][text]:
            continue
        z = (odds[1] - odds[0]) / math.sqrt(1 / smoothed[0] + 1 / smoothed[1])
        ngrams.append(Ngram(text, counts[0][text], counts[1][text], z))
    more_b = sorted((g for g in ngrams if g.z >= DISTINCTIVE_Z), key=lambda g: (-g.z, g.text))[:most]
    more_a = sorted((g for g in ngrams if g.z <= -DISTINCTIVE_Z), key=lambda g: (g.z, g.text))[:most]
    return more_b + more_a


def _counts(replies: Sequence[str], n: int) -> Counter[str]:
    counter: Counter[str] = Counter()
    for reply in replies:
        words = reply.split()
        counter.update(" ".join(words[i : i + n]) for i in range(len(words) - n + 1))
    return counter


def extremes(a: LoadedRun, b: LoadedRun, metric: str, most: int = 5) -> list[Extreme]:
    """Return the examples on which two runs differ most by a score of single replies: b's largest gains, then losses.

    Empty if a run does not have the score. Equal differences keep the dataset's order.
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
        Extreme(i, a.ids[i], a.contexts[i], a.hypotheses[i], b.hypotheses[i], a.references[i], difference)
        for difference, i in [*gains, *losses]
    ]


def most_frequent(replies: Sequence[str], most: int = 5) -> list[tuple[str, int]]:
    """Return the replies given more than once, most frequent first, with how often: what a dull model always says."""
    counted = Counter(" ".join(reply.split()) for reply in replies)
    ranked = sorted(((text, count) for text, count in counted.items() if count > 1), key=lambda p: (-p[1], p[0]))
    return ranked[:most]


def repeated_share(replies: Sequence[str]) -> float:
    """Return the share of replies whose text another reply of the run has too."""
    counted = Counter(" ".join(reply.split()) for reply in replies)
    return sum(count for count in counted.values() if count > 1) / max(1, len(replies))
