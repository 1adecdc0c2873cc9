"""The report on metrics held against people, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from dialoeval.judging.correlate import GROUPINGS, Correlations
from dialoeval.judging.metric_tests import MetricTest
from dialoeval.reports.judgments_tables import p_text
from dialoeval.stats import Interval, PairwiseAccuracy, SegmentCorrelation, SystemCorrelation, Undefined, Williams
from dialoeval.tables import MISSING, Cell, Table

_LEVELS = {"system": "systems", "none": "segments pooled", "item": "segments by item"}
_GROUP_NAMES = {"none": "pooled", "item": "by item", "sys": "by system"}


def to_markdown(found: Correlations) -> str:
    """Return correlations.md."""
    parts = [
        "# Metrics against people\n",
        f"Judgments: {found.judgments.source}. {found.settings.resamples:,} resamples of contexts, seed "
        f"{found.settings.seed}.\n",
        f"## Systems\n\n{_SYSTEMS}\n",
        system_table(found).to_markdown(),
    ]
    if found.segments:
        parts += [f"## Segments\n\n{_SEGMENTS}\n", segment_table(found).to_markdown()]
    if found.tests:
        parts += [f"## Differences of metrics\n\n{_TESTS}\n", metric_test_table(found.tests).to_markdown()]
    lines = []
    for question, top in found.ceilings.items():
        shown = f"not computed: {top.reason}" if isinstance(top, Undefined) else f"{top:.2f}"
        lines.append(f"Ceiling for {question}: {shown}, the root of the reliability of an item's mean, ICC(1,k).")
    lines += [f"{note}." for note in found.notes]
    parts += ["## Notes\n", "".join(f"- {line}\n" for line in lines)]
    return "\n".join(parts)


def system_table(found: Correlations) -> Table:
    """Return the correlations over systems."""
    rows: list[tuple[str | Cell, ...]] = []
    for one in found.systems:
        cells = [_coefficient(one.figures[kind]) for kind in ("pearson", "spearman", "kendall")]
        pearson = one.figures["pearson"]
        p = p_text(pearson.p_value) if isinstance(pearson, SystemCorrelation) else MISSING
        adjusted = MISSING if one.p_adjusted is None else p_text(one.p_adjusted)
        without = one.without_human.get("pearson")
        last = _coefficient(without) if without else Cell(None, 3, why="the human reply is not among the systems")
        rows.append((f"{one.question}: {one.metric}", str(len(one.systems)), *cells, p, adjusted, last))
    headings = ("Question and metric", "Systems", "r", "rho", "tau-b", "p of r", "p corrected", "r without human")
    return Table(headings, tuple(rows))


def segment_table(found: Correlations) -> Table:
    """Return the correlations over segments, each with its grouping."""
    rows: list[tuple[str | Cell, ...]] = []
    for one in found.segments:
        cells = [_segment(one.pearson[grouping]) for grouping in GROUPINGS]
        cells += [_segment(one.spearman[grouping]) for grouping in GROUPINGS]
        cells += [_segment(one.kendall[grouping]) for grouping in GROUPINGS]
        by_item = one.pearson["item"]
        groups = MISSING
        if isinstance(by_item, SegmentCorrelation):
            groups = f"{by_item.groups:,} of {by_item.groups + by_item.left_out:,}"
        rows.append((f"{one.question}: {one.metric}", *cells, groups, *_accuracy(one.accuracy)))
    headings = ["Question and metric", *(f"r, {_GROUP_NAMES[g]}" for g in GROUPINGS)]
    headings += [f"{kind}, {_GROUP_NAMES[g]}" for kind in ("rho", "tau-b") for g in GROUPINGS]
    headings += ["Items with r", "Accuracy", "epsilon", "Accuracy of a constant"]
    return Table(tuple(headings), tuple(rows))


def metric_test_table(tests: Sequence[MetricTest]) -> Table:
    """Return the tests between metrics."""
    rows = []
    for one in tests:
        if isinstance(one.test, Undefined):
            what, p = f"not computed: {one.test.reason}", MISSING
        elif isinstance(one.test, Williams):
            what, p = f"Williams t {one.test.t:.3f}", p_text(one.test.p_value)
        else:
            what, p = f"PERM-BOTH, difference {one.test.delta:.3f}", p_text(one.test.p_value)
        adjusted = MISSING if one.p_adjusted is None else p_text(one.p_adjusted)
        over = _LEVELS[one.grouping]
        rows.append((f"{one.question}, {over}: {one.first} > {one.second}", what, p, adjusted))
    return Table(("Question, level and metrics", "Test", "p", "p corrected"), tuple(rows))


def _coefficient(found: SystemCorrelation | Undefined) -> Cell:
    if isinstance(found, Undefined):
        return Cell(None, 3, why=f"not computed: {found.reason}")
    return _with(found.value, found.interval)


def _segment(found: SegmentCorrelation | Undefined) -> Cell:
    if isinstance(found, Undefined):
        return Cell(None, 3, why=f"not computed: {found.reason}")
    return _with(found.value, found.interval)


def _with(value: float, interval: Interval | Undefined) -> Cell:
    if isinstance(interval, Undefined):
        return Cell(value, 3)
    return Cell(value, 3, low=interval.low, high=interval.high)


def _accuracy(found: PairwiseAccuracy | Undefined) -> list[Cell]:
    if isinstance(found, Undefined):
        return [Cell(None, 3, why=f"not computed: {found.reason}")] * 3
    return [Cell(found.value, 3), Cell(found.epsilon, 4), Cell(found.constant, 3)]


_SYSTEMS = (
    "Correlation of a metric's figure and people's mean over systems: Pearson's r, Spearman's rho, Kendall's tau-b, "
    "with 95% intervals over other contexts (metric and people are drawn together) for these systems. p of r treats "
    "the systems as a sample of systems; corrected: Holm, over metrics and questions. Of segments, a metric's figure "
    "is their mean. With the human reply among the systems, much of a correlation may be that one point."
)
_SEGMENTS = (
    "Correlation over single replies. The grouping decides what is asked: pooled, all replies together; by item, "
    "systems on the same context (mean over contexts); by system, contexts of the same system (mean over systems). "
    "Groups in which a side is constant are left out. Accuracy: share of pairs of replies to one context that the "
    "metric orders as people do, ties up to epsilon included (chosen on these data). Intervals are over other "
    "contexts."
)
_TESTS = (
    "The metric with the larger correlation comes first. p is one-sided; corrected: two-sided (twice p, since the data "
    "say which comes first) and Holm, over the tests of a kind. Williams' test takes systems, or replies pooled, as a "
    "sample: the replies of one context and system are not independent, so that of replies is too small. PERM-BOTH "
    "exchanges both metrics' scores of replies (1,000 permutations)."
)
