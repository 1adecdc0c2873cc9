"""A comparison as Markdown and as JSON."""

from __future__ import annotations

from typing import Any

from dialoeval.reports.compare import COMPARED, Comparison
from dialoeval.reports.tables import PAPER_COLUMNS, Table

_COLUMNS = {column.name: column for column in PAPER_COLUMNS}


def to_markdown(comparisons: list[Comparison], correction: str) -> str:
    """All comparisons with the first run: tests, then why."""
    return "\n".join(_one(comparison, correction) for comparison in comparisons)


def to_json(comparisons: list[Comparison], correction: str) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "schema": 1,
        "correction": correction,
        "comparisons": [
            {
                "a": c.a.name,
                "b": c.b.name,
                "figures": {
                    name: {
                        "a": result.a,
                        "b": result.b,
                        "difference": result.difference,
                        "interval": [result.low, result.high],
                        "p_bootstrap": result.p_value,
                        "p_randomization": c.randomization[name].p_value,
                        "p_adjusted": c.adjusted.get(name),
                    }
                    for name, result in c.bootstrap.items()
                },
                "identical_replies": c.identical,
                "examples": len(c.a.ids),
                "buckets": c.buckets,
                "ngrams": c.ngrams,
                "extremes": c.extremes,
            }
            for c in comparisons
        ],
    }


def tests_table(comparison: Comparison) -> Table:
    """One row a figure: both values, the difference with its interval, the p-values."""
    rows = []
    for name in COMPARED:
        if name not in comparison.bootstrap:
            continue
        column, result = _COLUMNS[name], comparison.bootstrap[name]

        def shown(value: float, column=column) -> str:
            return f"{value * column.factor:.{column.decimals}f}{column.suffix}"

        rows.append(
            (
                column.heading,
                shown(result.a),
                shown(result.b),
                f"{result.difference * column.factor:+.{column.decimals}f}",
                f"[{result.low * column.factor:+.{column.decimals}f}, {result.high * column.factor:+.{column.decimals}f}]",
                f"{result.p_value:.3f}",
                f"{comparison.randomization[name].p_value:.3f}",
                f"{comparison.adjusted[name]:.3f}",
            )
        )
    headings = ("Figure", "A", "B", "B - A", "95% interval", "p (bootstrap)", "p (randomization)", "p (adjusted)")
    return Table(headings, tuple(rows))


def _one(c: Comparison, correction: str) -> str:
    n = len(c.a.ids)
    parts = [
        f"# A = {c.a.name}\n# B = {c.b.name}\n",
        tests_table(c).to_markdown(),
        f"{n} examples; {c.identical} replies ({c.identical / n:.1%}) are the same in both. Adjusted p-values: "
        f"randomization, correction {correction} over all figures of all comparisons.\n",
    ]
    for what, rows in c.buckets.items():
        if rows:
            table = Table(
                (what, "examples", "A", "B"),
                tuple((r["range"], str(r["n"]), f"{r['a']:.4f}", f"{r['b']:.4f}") for r in rows),
            )
            parts += [f"## Mean segment {rows[0]['metric']} by {what}\n", table.to_markdown()]
    for what, rows in c.ngrams.items():
        table = Table((what, "A", "B"), tuple((gram, str(a), str(b)) for gram, a, b in rows))
        parts += [f"## {what.capitalize()} that one says more\n", table.to_markdown()]
    for metric, rows in c.extremes.items():
        if rows:
            parts += [f"## Where they differ most by {metric}\n", *map(_extreme, rows)]
    return "\n".join(parts)


def _extreme(row: dict[str, Any]) -> str:
    context = row["context"][-1] if row["context"] else "(no context)"
    reference = row["references"][0] if row["references"] else "(none)"
    return (
        f"- {row['difference']:+.4f} ({row['id']})\n  - context: {_line(context)}\n  - A: {_line(row['a'])}\n"
        f"  - B: {_line(row['b'])}\n  - reference: {_line(reference)}\n"
    )


def _line(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;") or "(empty)"
