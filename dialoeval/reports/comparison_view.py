"""What the page shows of a comparison of two runs."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from dialoeval.reports import compare_text as text
from dialoeval.reports.analysis import Extreme
from dialoeval.reports.compare import Comparison
from dialoeval.reports.forest import comparison_forest
from dialoeval.reports.svg import Plot
from dialoeval.tables import Table


@dataclass(frozen=True)
class ComparisonSection:
    """What comparison.html shows of two runs: see `Comparison` and `Explanation`."""

    names: tuple[str, str]
    forest: Plot | None
    tests: Markup
    notes: tuple[str, ...]
    exports: dict[str, str]
    verdict: str
    summary: str
    most_frequent: Markup | None
    buckets: list[tuple[str, Markup]]
    ngrams: list[tuple[str, Markup]]
    extremes: list[tuple[str, list[Extreme]]]


def comparison_section(c: Comparison) -> ComparisonSection:
    """Return what the page shows of a comparison."""
    why = c.explanation
    tests = text.figures_table(c)
    return ComparisonSection(
        names=c.names,
        forest=comparison_forest(c),
        tests=Markup(tests.to_html()),
        notes=tests.notes,
        exports=exports(tests),
        verdict=text.verdict(c),
        summary=text.summary(c),
        most_frequent=Markup(text.most_frequent_table(c).to_html()) if any(why.most_frequent) else None,
        buckets=[
            (what, Markup(text.buckets_table(what, rows).to_html()))
            for what, rows in why.buckets.items()
            if len(rows) > 1
        ],
        ngrams=[(what, Markup(text.ngrams_table(c, what).to_html())) for what, rows in why.ngrams.items() if rows],
        extremes=[(text.segment_heading(name), rows) for name, rows in why.extremes.items() if rows],
    )


def exports(table: Table) -> dict[str, str]:
    """Return {format: the table in it}, for the buttons that copy it."""
    return {"Markdown": table.to_markdown(), "LaTeX": table.to_latex(), "CSV": table.to_csv()}
