"""Which figures of the runs of a page differ from those of a baseline: paired tests, made with the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dialoeval.errors import UserError, nearest
from dialoeval.metrics import registry
from dialoeval.metrics.base import MeanMetric, Rows
from dialoeval.metrics.system_statistics import Statistics
from dialoeval.progress import progress, shows_bars
from dialoeval.reports.compare import COMPARED, common_extra, run_statistics
from dialoeval.runs.reader import LoadedRun, check_comparable, short_names
from dialoeval.stats import adjust, approximate_randomization

LEVEL = 0.05
TRIALS, SEED = 1000, 12345  # those of `ComparisonSettings`, so that a page and `dialoeval compare` print the same p
# Replies times trials times pairs that are tested by default: about half a minute. Counting the n-grams of each trial
# takes nine tenths of it.
MOST_WORK = 30_000_000
_COUNTED = ("entropy4", "distinct1", "distinct2")


@dataclass(frozen=True)
class BaselineTests:
    """The tests of all other runs of a page against one of them.

    Attributes:
        baseline: its position among the runs; None without tests.
        p_values: of each run, {figure: adjusted two-sided p-value}; empty for the baseline.
        legend: which test, which correction; or why there are none.
    """

    baseline: int | None = None
    p_values: list[dict[str, float]] = field(default_factory=list)
    legend: str = ""

    def differs(self, run: int, figure: str) -> bool:
        """Return whether a run's figure is told apart from the baseline's."""
        return self.baseline is not None and self.p_values[run].get(figure, 1.0) <= LEVEL


def baseline_tests(runs: Sequence[LoadedRun], baseline: str | None = None) -> BaselineTests:
    """Test the paper's figures, and the extra metrics that are means over replies, of each run against a baseline.

    Args:
        runs: of the page.
        baseline: a part of a run's name that only one has; None: the first run; "none": no tests.

    Raises:
        UserError: no run, or several, have that name.
    """
    if any(run.is_unreferenced_human for run in runs):
        return _beside_people(runs, baseline)
    chosen = 0 if baseline is None else _position(runs, baseline)
    if chosen is None or len(runs) < 2:
        return BaselineTests()
    try:
        check_comparable(runs)
        if len(runs[0].ids) < 2:
            raise UserError("a paired test needs at least two examples")
    except UserError as error:
        return BaselineTests(legend=f"No run is tested against another: {error}.")
    pairs = [i for i in range(len(runs)) if i != chosen]
    extra = [name for name in common_extra(runs) if _is_mean(runs, name)]
    tested = [*COMPARED, *extra]
    trials = _trials(len(pairs) * len(tested))
    work = len(pairs) * trials * len(runs[0].ids)
    left_out = _COUNTED if baseline is None and work > MOST_WORK else ()
    trials = _trials(len(pairs) * (len(tested) - len(left_out)))
    stats = [
        _with_means(statistics, run, extra, without_counts=bool(left_out))
        for run, statistics in zip(runs, run_statistics(runs, COMPARED, shows_bars()), strict=True)
    ]
    raw: dict[tuple[int, str], float] = {}
    with progress("paired tests", len(pairs)) as advance:
        for i in pairs:
            results = approximate_randomization(stats[chosen], stats[i], trials, SEED)
            raw |= {(i, name): results[name].p_two_sided for name in tested if name in results}
            advance()
    adjusted = adjust(raw, "holm")
    p_values = [{name: p for (j, name), p in adjusted.items() if j == i} for i in range(len(runs))]
    name = short_names(runs)[chosen]
    return BaselineTests(chosen, p_values, _legend(name, trials, len(raw), left_out))


def _beside_people(runs: Sequence[LoadedRun], baseline: str | None) -> BaselineTests:
    """Test all runs but the human replies that are scored without references."""
    places = [i for i, run in enumerate(runs) if not run.is_unreferenced_human]
    tests = baseline_tests([runs[i] for i in places], baseline)
    if tests.baseline is None:
        return tests
    p_values = dict(zip(places, tests.p_values, strict=True))
    return BaselineTests(places[tests.baseline], [p_values.get(i, {}) for i in range(len(runs))], tests.legend)


def _legend(name: str, trials: int, tests: int, left_out: Sequence[str]) -> str:
    text = (
        f"Tests against the baseline, {name}: two-sided paired approximate randomization, {trials:,} trials, "
        f"seed {SEED}; p-values after Holm's correction over the {tests} tests of this table; marked if p is at most "
        f"{LEVEL:g}."
    )
    if left_out:
        headings = ", ".join(registry.figure(figure).heading for figure in left_out)
        text += f" Not tested, since it would take minutes: {headings} (--baseline NAME tests them too)."
    return text


def _position(runs: Sequence[LoadedRun], name: str) -> int | None:
    if name == "none":
        return None
    shown = short_names(runs)
    exact = [i for i, run in enumerate(runs) if name in (run.name, shown[i])]
    found = exact or [i for i, run in enumerate(runs) if name in run.name or name in shown[i]]
    if len(found) != 1:
        problem = "several runs have" if found else f"no run has{nearest(name, shown)}"
        raise UserError(f"--baseline {name}: {problem} that name (runs: {', '.join(shown)}; or none)")
    return found[0]


def _trials(tests: int) -> int:
    """Return enough trials for Holm's smallest adjusted p-value, tests / (trials + 1), to be significant."""
    return max(TRIALS, math.ceil(tests / LEVEL / 1000) * 1000)


def _is_mean(runs: Sequence[LoadedRun], name: str) -> bool:
    """Return whether a metric is the mean of the reply scores that the runs hold: it needs no model to be tested."""
    try:
        metric = registry.get(name)
    except UserError:  # of a plugin that is not here
        return False
    return isinstance(metric, MeanMetric) and len(metric.figures) == 1 and all(name in run.segments for run in runs)


def _with_means(statistics: Statistics, run: LoadedRun, extra: Sequence[str], *, without_counts: bool) -> Statistics:
    """Return the statistics with those of the extra metrics, from the run's reply scores."""
    kept = tuple(metric for metric in statistics.metrics if not (without_counts and metric.name == "diversity"))
    parts = {metric.name: statistics.parts[metric.name] for metric in kept}
    added = []
    for name in extra:
        metric = registry.get(name)
        assert isinstance(metric, MeanMetric)
        scores = np.array([np.nan if score is None else score for score in run.segments[name]], dtype=float)
        defined = ~np.isnan(scores)
        parts[metric.name] = Rows(metric, np.column_stack([np.nan_to_num(scores), defined]), defined)
        added.append(metric)
    return Statistics(statistics.corpus, (*kept, *added), parts)
