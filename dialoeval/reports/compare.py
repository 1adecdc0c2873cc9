"""Comparisons of runs on the same data: is the difference real, and where does it come from?"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from dialoeval.errors import UserError, nearest
from dialoeval.metrics import registry
from dialoeval.metrics.figures import FIGURES, PAPER_TABLE
from dialoeval.metrics.system_statistics import Statistics, statistics
from dialoeval.reports.analysis import Explanation, explain
from dialoeval.runs.reader import LoadedRun, check_comparable, short_names
from dialoeval.stats import PairedResult, adjust, approximate_randomization, paired_bootstrap

_LOG = logging.getLogger(__name__)
COMPARED = tuple(figure.name for figure in PAPER_TABLE)


@dataclass(frozen=True)
class Comparison:
    """Two runs, figure by figure, and why they differ.

    Attributes:
        a: the baseline.
        b: the other run.
        names: of both, as tables show them.
        bootstrap: {figure: its paired bootstrap}, whose interval of the difference is shown.
        randomization: {figure: its approximate randomization}.
        adjusted: {figure: p-value of the randomization, corrected over all figures of all comparisons}: the headline.
        adjusted_bootstrap: {figure: two-sided p-value of the bootstrap, corrected in the same way}.
    """

    a: LoadedRun
    b: LoadedRun
    names: tuple[str, str]
    bootstrap: dict[str, PairedResult]
    randomization: dict[str, PairedResult]
    adjusted: dict[str, float]
    adjusted_bootstrap: dict[str, float]
    explanation: Explanation


@dataclass(frozen=True)
class ComparisonSettings:
    """How runs are compared.

    Attributes:
        metrics: flat names of the figures to test, which are what the correction counts; empty: the paper's, and the
            extra metrics that all runs were scored with.
        resamples: of the paired bootstrap.
        trials: of approximate randomization.
        correction: "holm", "bh" or "none".
        all_pairs: every pair of runs instead of each with the first.

    Raises:
        UserError: a number is out of range, or a figure is unknown.
    """

    metrics: tuple[str, ...] = ()
    resamples: int = 1000
    trials: int = 1000
    seed: int = 12345
    correction: str = "holm"
    all_pairs: bool = False

    def __post_init__(self) -> None:
        if self.resamples < 1 or self.trials < 1:
            raise UserError("resamples and trials must be at least 1")
        if self.seed < 0:
            raise UserError("seed must be 0 or more")
        for name in self.metrics:
            if name not in FIGURES:
                _check_extra(name)


def _check_extra(name: str) -> None:
    try:
        registry.metric_of(name)
    except UserError as error:
        raise UserError(
            f"unknown figure {name!r}{nearest(name, FIGURES)} (known: {', '.join(FIGURES)}, and those of the extra "
            f"metrics; {error})"
        ) from error


def compare(
    runs: Sequence[LoadedRun], settings: ComparisonSettings | None = None, *, progress: bool = False
) -> list[Comparison]:
    """Compare each run with the first one (or every pair); p-values are corrected over all of it.

    Raises:
        UserError: fewer than two runs, one run twice, or runs that cannot be compared.
    """
    settings = settings or ComparisonSettings()
    if len(runs) < 2:
        raise UserError("compare needs at least two runs")
    paths = [run.path.resolve() for run in runs]
    twice = [run.name for run, path in zip(runs, paths, strict=True) if paths.count(path) > 1]
    if twice:
        raise UserError(f"{twice[0]} is given twice")
    check_comparable(runs)
    tested = settings.metrics or (*COMPARED, *common_extra(runs))
    try:
        stats = run_statistics(runs, tested, progress)
    except UserError as error:
        if settings.metrics or tested == COMPARED:
            raise
        # The runs may have been scored on another machine, with models or plugins that are not here.
        _LOG.warning("compared without %s: %s", ", ".join(tested[len(COMPARED) :]), error)
        stats = run_statistics(runs, COMPARED, progress)
    names = short_names(runs)
    pairs = [(i, j) for i, j in itertools.combinations(range(len(runs)), 2) if settings.all_pairs or i == 0]
    bootstraps = {(i, j): paired_bootstrap(stats[i], stats[j], settings.resamples, settings.seed) for i, j in pairs}
    randomizations = {
        (i, j): approximate_randomization(stats[i], stats[j], settings.trials, settings.seed) for i, j in pairs
    }
    family = [
        (pair, name) for pair in pairs for name in tested if name in randomizations[pair] and name in bootstraps[pair]
    ]
    untested = [name for name in settings.metrics if any((pair, name) not in family for pair in pairs)]
    if untested:
        raise UserError(
            f"{', '.join(untested)} cannot be tested on these runs: it was not computed for them (METEOR off, no "
            "references), or is a value of the whole set without a paired test"
        )
    adjusted = adjust({test: randomizations[test[0]][test[1]].p_two_sided for test in family}, settings.correction)
    beside = adjust({test: bootstraps[test[0]][test[1]].p_two_sided for test in family}, settings.correction)
    comparisons = []
    for pair in pairs:
        i, j = pair
        figures = [name for name in tested if (pair, name) in family]
        comparisons.append(
            Comparison(
                a=runs[i],
                b=runs[j],
                names=(names[i], names[j]),
                bootstrap={name: bootstraps[pair][name] for name in figures},
                randomization={name: randomizations[pair][name] for name in figures},
                adjusted={name: adjusted[pair, name] for name in figures},
                adjusted_bootstrap={name: beside[pair, name] for name in figures},
                explanation=explain(runs[i], runs[j], stats[i], stats[j]),
            )
        )
    return comparisons


def common_extra(runs: Sequence[LoadedRun]) -> list[str]:
    """Return the names of the extra metrics that all runs were scored with."""
    return [name for name in runs[0].scores.extra if all(name in run.scores.extra for run in runs)]


def run_statistics(runs: Sequence[LoadedRun], figures: Sequence[str], progress: bool) -> list[Statistics]:
    """Return the statistics of each run for the metrics that the figures belong to."""
    meteor = "meteor" in figures and all("meteor" in run.scores.figures for run in runs)
    extra = list(dict.fromkeys(registry.metric_of(name) for name in figures if name not in FIGURES))
    return [
        statistics(
            run.hypotheses,
            run.references,
            run.scores.protocol,
            meteor=meteor,
            extra=extra,
            contexts=run.contexts,
            progress=progress,
        )
        for run in runs
    ]
