"""Comparing runs on the same data: is the difference real, and where does it come from?"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dialoeval.config import ProtocolConfig
from dialoeval.errors import UserError, nearest
from dialoeval.metrics.figures import FIGURES
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
from dialoeval.runs.reader import SEGMENT_FIGURES, LoadedRun, check_comparable, short_names
from dialoeval.stats import PairedResult, adjust, approximate_randomization, paired_bootstrap
from dialoeval.tables import PAPER_COLUMNS

COMPARED = tuple(column.name for column in PAPER_COLUMNS)


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
        metrics: flat names of the figures to test; the correction counts these.
        resamples: of the paired bootstrap; trials: of approximate randomization.
        correction: "holm", "bh" or "none".
        all_pairs: every pair of runs instead of each with the first.
    """

    metrics: tuple[str, ...] = COMPARED
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
                raise UserError(f"unknown figure {name!r}{nearest(name, FIGURES)} (known: {', '.join(FIGURES)})")


def compare(runs: Sequence[LoadedRun], settings: Settings | None = None, *, progress: bool = False) -> list[Comparison]:
    """Compare each run with the first one (or every pair); p-values are corrected over all of it.

    Raises:
        UserError: fewer than two runs, one run twice, runs that cannot be compared, or wrong settings.
    """
    from dialoeval.metrics import statistics

    settings = settings or Settings()
    settings.check()
    if len(runs) < 2:
        raise UserError("compare needs at least two runs")
    twice = [run.name for i, run in enumerate(runs) if run.path.resolve() in [r.path.resolve() for r in runs[:i]]]
    if twice:
        raise UserError(f"{twice[0]} is given twice")
    check_comparable(runs)
    protocol = _protocol(runs[0])
    meteor = "meteor" in settings.metrics and all(run.scores["meteor"] is not None for run in runs)
    made = [statistics(run.replies, run.references, protocol, meteor=meteor, progress=progress) for run in runs]
    names = short_names(runs)
    pairs = [(i, j) for i, j in itertools.combinations(range(len(runs)), 2) if settings.all_pairs or i == 0]
    tests = {
        (i, j): (
            paired_bootstrap(made[i], made[j], settings.resamples, settings.seed),
            approximate_randomization(made[i], made[j], settings.trials, settings.seed),
        )
        for i, j in pairs
    }
    family = {
        (pair, name): randomization[name].p_value
        for pair, (_, randomization) in tests.items()
        for name in settings.metrics
        if name in randomization
    }
    adjusted = adjust(family, settings.correction)
    result = []
    for pair in pairs:
        i, j = pair
        kept = [name for name in settings.metrics if (pair, name) in family]
        bootstrap, randomization = tests[pair]
        result.append(
            Comparison(
                a=runs[i],
                b=runs[j],
                names=(names[i], names[j]),
                bootstrap={name: bootstrap[name] for name in kept},
                randomization={name: randomization[name] for name in kept},
                adjusted={name: adjusted[pair, name] for name in kept},
                **_why(runs[i], runs[j], made[i], made[j]),
            )
        )
    return result


def _protocol(run: LoadedRun) -> ProtocolConfig:
    try:
        return ProtocolConfig(**run.scores["protocol"])
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{run.path / 'scores.json'}: the protocol is not one this version knows: run it again"
        ) from error


def _why(a: LoadedRun, b: LoadedRun, ours: Any, theirs: Any) -> dict[str, Any]:
    # by the mean of both replies' lengths: cutting by one run's own would favour the other (regression to the mean)
    lengths = [(len(x.split()) + len(y.split())) / 2 for x, y in zip(a.replies, b.replies, strict=True)]
    words = [sum(len(turn.split()) for turn in context) for context in a.contexts]
    texts = (ours.texts.hypotheses, theirs.texts.hypotheses)
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
        "extremes": {metric: extremes(a, b, metric) for metric in SEGMENT_FIGURES},
    }
