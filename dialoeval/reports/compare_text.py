"""A comparison as tables, Markdown and JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from dialoeval.metrics.registry import figure, reply_figure
from dialoeval.reports.analysis import Bucket, Extreme
from dialoeval.reports.compare import COMPARED, Comparison, ComparisonSettings
from dialoeval.stats import PairedResult
from dialoeval.tables import Cell, Heading, Table, markdown_text

LEVEL = 0.05
BUCKET_FIGURES = ("nist4", "bleu2", "meteor", "distinct2", "avg_len")
MOST_WORDS = 40  # of a text in the lists of single replies


def to_json(comparisons: Sequence[Comparison], settings: ComparisonSettings) -> dict[str, Any]:
    """Return all comparisons as JSON values; figures are fractions, as in scores.json."""
    return {
        "schema": 1,
        "settings": asdict(settings) | {"metrics": _tested(comparisons, settings)},
        "comparisons": [
            {
                "a": {"run": c.a.name, "name": c.names[0]},
                "b": {"run": c.b.name, "name": c.names[1]},
                "examples": len(c.a.ids),
                "identical_replies": c.explanation.identical,
                "repeated_share": list(c.explanation.repeated),
                "commonest_replies": [[list(pair) for pair in replies] for replies in c.explanation.most_frequent],
                "figures": {
                    name: {
                        "a": result.a,
                        "b": result.b,
                        "difference": result.difference,
                        "interval": [result.low, result.high],
                        "p_adjusted": c.adjusted[name],
                        "p_randomization": c.randomization[name].p_two_sided,
                        "p_bootstrap": result.p_two_sided,
                        "p_bootstrap_adjusted": c.adjusted_bootstrap[name],
                    }
                    for name, result in c.bootstrap.items()
                },
                "buckets": {what: [asdict(b) for b in rows] for what, rows in c.explanation.buckets.items()},
                "ngrams": {what: [asdict(g) for g in rows] for what, rows in c.explanation.ngrams.items()},
                "extremes": {metric: [asdict(e) for e in rows] for metric, rows in c.explanation.extremes.items()},
            }
            for c in comparisons
        ],
    }


def _tested(comparisons: Sequence[Comparison], settings: ComparisonSettings) -> list[str]:
    names = (name for c in comparisons for name in c.bootstrap)
    return list(settings.metrics or dict.fromkeys((*COMPARED, *names)))


def verdict(c: Comparison) -> str:
    """Return one sentence: on which figures B is significantly higher or lower than A, and on which it is neither."""
    sides: dict[str, list[str]] = {"higher": [], "lower": [], "no significant difference": []}
    for name, result in c.bootstrap.items():
        if c.adjusted[name] > LEVEL:
            side = "no significant difference"
        elif result.difference > 0:
            side = "higher"
        else:
            side = "lower"
        sides[side].append(figure(name).heading)
    parts = [f"{side} on {', '.join(names)}" for side, names in sides.items() if names]
    return f"B against A: {'; '.join(parts)} (significant: adjusted p at most {LEVEL:g})." if parts else ""


def figures_table(c: Comparison) -> Table:
    """Return one row per figure: both values, the difference with its interval, p-values of both tests.

    The p-values are two-sided and adjusted. The remarks explain what contradicts itself at first sight.
    """
    rows: list[tuple[str | Cell, ...]] = []
    for name, result in c.bootstrap.items():
        column = figure(name)
        difference = column.cell(result.difference, signed=True)
        low, high = (column.cell(edge, signed=True).figure for edge in (result.low, result.high))
        p_values = (c.adjusted[name], c.adjusted_bootstrap[name])
        values = (column.cell(result.a), column.cell(result.b), difference)
        rows.append((column.heading, *values, f"[{low}, {high}]", *map(p_text, p_values)))
    headings = (
        "Figure",
        "A",
        "B",
        Heading("B - A", "difference"),
        Heading("95% interval", "interval"),
        Heading("p (adjusted)", "p_adjusted"),
        Heading("p (paired bootstrap)", "p_bootstrap_adjusted"),
    )
    return Table(headings, tuple(rows), tuple(disagreements(c)))


def disagreements(c: Comparison) -> list[str]:
    """Return sentences about figures whose interval and p-values point to different verdicts."""
    found: dict[str, list[str]] = {}
    for name, result in c.bootstrap.items():
        if reason := _disagreement(
            result, c.randomization[name].p_two_sided, c.adjusted[name], c.adjusted_bootstrap[name]
        ):
            found.setdefault(reason, []).append(figure(name).heading)
    return [f"{', '.join(names)}: {reason}" for reason, names in found.items()]


def _disagreement(result: PairedResult, p: float, adjusted: float, beside: float) -> str:
    assert result.low is not None and result.high is not None
    excludes = result.low > 0 or result.high < 0
    if excludes and adjusted > LEVEL >= p:
        return (
            "the interval excludes 0 although p is above 0.05, because p is corrected for all tests and an interval is "
            "of one figure."
        )
    if excludes != (adjusted <= LEVEL):
        return (
            f"the interval {'excludes' if excludes else 'includes'} 0 although p is "
            f"{'above' if excludes else 'at most'} 0.05, because the interval is the paired bootstrap's and p is "
            "approximate randomization's; the evidence is borderline, and p counts."
        )
    if (adjusted <= LEVEL) != (beside <= LEVEL):
        return "the two tests are on different sides of 0.05; the evidence is borderline, and p (adjusted) counts."
    return ""


def p_text(p: float) -> str:
    """Return a p-value with three decimals, since a resampled one has no more; "<0.001" below them."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def buckets_table(what: str, rows: Sequence[Bucket]) -> Table:
    """Return one row per part of the examples: figures of A and of B."""
    names = [name for name in BUCKET_FIGURES if all(name in row.a and name in row.b for row in rows)]
    headings = [what.capitalize(), "Examples"]
    for name in names:
        headings += [f"{figure(name).heading} A", f"{figure(name).heading} B"]
    lines: list[tuple[str | Cell, ...]] = []
    for row in rows:
        pairs = [figure(name).cell(side[name]) for name in names for side in (row.a, row.b)]
        lines.append((row.label, str(row.examples), *pairs))
    return Table(tuple(headings), tuple(lines))


def ngrams_table(c: Comparison, what: str) -> Table:
    """Return the n-grams over-represented in one run, with their counts in both."""
    rows = tuple((g.text, str(g.a), str(g.b), Cell(g.z, 1, signed=True)) for g in c.explanation.ngrams[what])
    return Table((what.capitalize(), "A", "B", "z"), rows)


def most_frequent_table(c: Comparison) -> Table:
    """Return the most frequent duplicate replies of both runs."""
    rows = [
        (which, shortened(text), str(count))
        for which, replies in zip("AB", c.explanation.most_frequent, strict=True)
        for text, count in replies
    ]
    return Table(("Run", "Duplicate reply", "Times"), tuple(rows))


def too_few_trials(comparisons: Sequence[Comparison], settings: ComparisonSettings) -> str:
    """Return a warning if even the smallest possible p-value, corrected, is above `LEVEL`; else an empty text.

    With m tests, Holm's smallest adjusted p-value is m / (trials + 1), and Benjamini and Hochberg's too if one test
    alone is significant.
    """
    tested = sum(len(c.bootstrap) for c in comparisons)
    factor = 1 if settings.correction == "none" else tested
    if factor / (settings.trials + 1) <= LEVEL:
        return ""
    return (
        f"With {settings.trials} trials and {tested} tests an adjusted p-value cannot fall to {LEVEL:g}: use more "
        f"trials (at least {math.ceil(factor / LEVEL)}) or test fewer figures."
    )


def method(comparisons: Sequence[Comparison], settings: ComparisonSettings) -> str:
    """Return how intervals and p-values were computed."""
    tested = sum(len(c.bootstrap) for c in comparisons)
    return (
        f"p (adjusted): approximate randomization ({settings.trials} trials). Interval and p (paired bootstrap): "
        f"paired bootstrap ({settings.resamples} resamples). Both p-values are two-sided and corrected over {tested} "
        f"tests ({settings.correction}); seed {settings.seed}."
    )


def to_markdown(comparisons: Sequence[Comparison], settings: ComparisonSettings) -> str:
    """Return all comparisons: tests, then explanations."""
    warning = too_few_trials(comparisons, settings)
    return "\n".join(
        [*map(_one, comparisons), f"{method(comparisons, settings)}\n", *([f"{warning}\n"] if warning else [])]
    )


def _one(c: Comparison) -> str:
    parts = [
        f"# {c.names[1]} against {c.names[0]}\n",
        f"- A: {c.names[0]} ({c.a.name})\n- B: {c.names[1]} ({c.b.name})\n",
        figures_table(c).to_markdown(),
        f"{verdict(c)}\n",
        f"{summary(c)}\n",
    ]
    if any(c.explanation.most_frequent):
        parts.append(most_frequent_table(c).to_markdown())
    for what, parts_of_examples in c.explanation.buckets.items():
        if len(parts_of_examples) > 1:
            parts += [f"## By {what}\n", buckets_table(what, parts_of_examples).to_markdown()]
    for what, ngrams in c.explanation.ngrams.items():
        if ngrams:
            parts += [f"## {what.capitalize()} over-represented in A or B\n", ngrams_table(c, what).to_markdown()]
    for metric, extremes in c.explanation.extremes.items():
        if extremes:
            examples = "\n".join(map(_extreme, extremes))
            parts += [f"## Replies that differ most by {segment_heading(metric)}\n", examples]
    return "\n".join(parts)


def summary(c: Comparison) -> str:
    """Return how many replies are the same, in both runs and within each."""
    n, identical, (a, b) = len(c.a.ids), c.explanation.identical, c.explanation.repeated
    return (
        f"{n} examples; {identical} replies ({identical / n:.1%}) are the same in both. Duplicate "
        f"replies: A {a:.1%}, B {b:.1%}."
    )


def segment_heading(name: str) -> str:
    """Return the heading of a score of single replies."""
    return reply_figure(name).heading


def shortened(text: str, most: int = MOST_WORDS) -> str:
    """Return the text on one line, cut after `most` words."""
    words = text.split()
    return " ".join(words[:most]) + (" …" if len(words) > most else "") if words else "(empty)"


def _extreme(e: Extreme) -> str:
    context = e.context[-1] if e.context else "(no context)"
    reference = e.references[0] if e.references else "(none)"
    lines = {"context": context, "A": e.a, "B": e.b, "reference": reference}
    listed = "".join(f"  - {name}: {markdown_text(shortened(text))}\n" for name, text in lines.items())
    return f"- {e.difference:+.4f} ({markdown_text(e.id)})\n{listed}"
