"""Comparing runs on the same data: is the difference real, and where does it come from?"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dialoeval.errors import UserError, nearest
from dialoeval.metrics import registry
from dialoeval.metrics.figures import FIGURES, PAPER_TABLE
from dialoeval.metrics.system_statistics import Statistics, statistics
from dialoeval.reports.analysis import (
    Bucket,
    Extreme,
    Ngram,
    buckets,
    commonest,
    extremes,
    repeated_share,
    telling_ngrams,
)
from dialoeval.runs.reader import LoadedRun, check_comparable, reply_scores, short_names
from dialoeval.stats import PairedResult, adjust, approximate_randomization, paired_bootstrap

COMPARED = tuple(figure.name for figure in PAPER_TABLE)


@dataclass(frozen=True)
class Comparison:
    """Two runs, figure by figure, and why they differ.

    Attributes:
        a, b: the runs; names: as tables show them.
        bootstrap, randomization: a result a figure; the interval of the difference is the bootstrap's.
        adjusted: p-values of the randomization test, corrected over all figures of all comparisons made together.
        identical: how many replies are the same in both.
        repeated, commonest: of each run, the share of replies given more than once, and the most frequent of them.
    """

    a: LoadedRun
    b: LoadedRun
    names: tuple[str, str]
    bootstrap: dict[str, PairedResult]
    randomization: dict[str, PairedResult]
    adjusted: dict[str, float]
    identical: int
    repeated: tuple[float, float]
    commonest: tuple[list[tuple[str, int]], list[tuple[str, int]]]
    buckets: dict[str, list[Bucket]]
    ngrams: dict[str, list[Ngram]]
    extremes: dict[str, list[Extreme]]


@dataclass(frozen=True)
class Settings:
    """How runs are compared.

    Attributes:
        metrics: flat names of the figures to test, which are what the correction counts; empty: the paper's, and the
            extra metrics that all runs were scored with.
        resamples: of the paired bootstrap; trials: of approximate randomization.
        correction: "holm", "bh" or "none".
        all_pairs: every pair of runs instead of each with the first.
    """

    metrics: tuple[str, ...] = ()
    resamples: int = 1000
    trials: int = 1000
    seed: int = 12345
    correction: str = "holm"
    all_pairs: bool = False

    def check(self) -> None:
        """Raises UserError where a number or a name is not one."""
        if self.resamples < 1 or self.trials < 1:
            raise UserError("--resamples and --trials must be at least 1")
        if self.seed < 0:
            raise UserError("--seed must be 0 or more")
        for name in self.metrics:
            if name not in FIGURES:
                try:
                    registry.metric_of(name)
                except UserError as error:
                    known = ", ".join(FIGURES)
                    raise UserError(
                        f"unknown figure {name!r}{nearest(name, FIGURES)} (known: {known}, and those of the extra "
                        f"metrics; {error})"
                    ) from error


def compare(runs: Sequence[LoadedRun], settings: Settings | None = None, *, progress: bool = False) -> list[Comparison]:
    """Compare each run with the first one (or every pair); p-values are corrected over all of it.

    Raises:
        UserError: fewer than two runs, one run twice, runs that cannot be compared, or wrong settings.
    """
    settings = settings or Settings()
    settings.check()
    if len(runs) < 2:
        raise UserError("compare needs at least two runs")
    twice = [run.name for i, run in enumerate(runs) if run.path.resolve() in [r.path.resolve() for r in runs[:i]]]
    if twice:
        raise UserError(f"{twice[0]} is given twice")
    check_comparable(runs)
    tested = settings.metrics or (*COMPARED, *_common_extra(runs))
    stats = _statistics(runs, tested, progress)
    names = short_names(runs)
    pairs = [(i, j) for i, j in itertools.combinations(range(len(runs)), 2) if settings.all_pairs or i == 0]
    tests = {
        (i, j): (
            paired_bootstrap(stats[i], stats[j], settings.resamples, settings.seed),
            approximate_randomization(stats[i], stats[j], settings.trials, settings.seed),
        )
        for i, j in pairs
    }
    family = {
        (pair, name): randomization[name].p_value
        for pair, (_, randomization) in tests.items()
        for name in tested
        if name in randomization and name in tests[pair][0]
    }
    adjusted = adjust(family, settings.correction)
    result = []
    for pair in pairs:
        i, j = pair
        names_tested = [name for name in tested if (pair, name) in family]
        bootstrap, randomization = tests[pair]
        result.append(
            Comparison(
                a=runs[i],
                b=runs[j],
                names=(names[i], names[j]),
                bootstrap={name: bootstrap[name] for name in names_tested},
                randomization={name: randomization[name] for name in names_tested},
                adjusted={name: adjusted[pair, name] for name in names_tested},
                **_why(runs[i], runs[j], stats[i], stats[j]),
            )
        )
    return result


def _common_extra(runs: Sequence[LoadedRun]) -> list[str]:
    return [name for name in runs[0].scores.extra if all(name in run.scores.extra for run in runs)]


def _statistics(runs: Sequence[LoadedRun], figures: Sequence[str], progress: bool) -> list[Statistics]:
    """The statistics of each run for the metrics that the figures belong to."""
    meteor = "meteor" in figures and all("meteor" in run.scores.figures for run in runs)
    extra = list(dict.fromkeys(registry.metric_of(name) for name in figures if name not in FIGURES))
    return [
        statistics(
            run.replies,
            run.references,
            run.scores.protocol,
            meteor=meteor,
            extra=extra,
            contexts=run.contexts,
            progress=progress,
        )
        for run in runs
    ]


def _why(a: LoadedRun, b: LoadedRun, ours: Statistics, theirs: Statistics) -> dict[str, Any]:
    # by the mean of both replies' lengths: cutting by one run's own would favour the other (regression to the mean)
    lengths = [(len(x.split()) + len(y.split())) / 2 for x, y in zip(a.replies, b.replies, strict=True)]
    words = [sum(len(turn.split()) for turn in context) for context in a.contexts]
    texts = (ours.corpus.texts.hypotheses, theirs.corpus.texts.hypotheses)
    return {
        "identical": sum(x == y for x, y in zip(a.replies, b.replies, strict=True)),
        "repeated": (repeated_share(a.replies), repeated_share(b.replies)),
        "commonest": (commonest(a.replies), commonest(b.replies)),
        "buckets": {
            "words in the context": buckets(ours, theirs, words),
            "turns in the context": buckets(ours, theirs, [len(context) for context in a.contexts]),
            "words in the reply, mean of both": buckets(ours, theirs, lengths),
        },
        "ngrams": {f"{n}-grams": telling_ngrams(*texts, n) for n in (1, 2, 3)},
        "extremes": {name: extremes(a, b, name) for name in reply_scores([a, b])},
    }
