"""The published human evaluations beside what follows from public judgments and counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dialoeval.errors import UserError
from dialoeval.judging.estimates import Estimate, Settings, plain
from dialoeval.judging.imported import read_judgments_file
from dialoeval.judging.panel import answers, panel
from dialoeval.judging.pools import parse_pools, pooled
from dialoeval.judging.ratings import means
from dialoeval.reports.judgments_tables import p_text
from dialoeval.reports.paper import Judgments, PublishedRating, published
from dialoeval.stats import Counts, Davidson, Undefined, davidson, sign_test, total_bracket
from dialoeval.tables import Cell, Table

JUDGES = 3  # an example, of the paper's study and of DSTC7's
FILE = "human_judgments.tsv"  # the public judgments of DSTC7
POOL = "TeamCE+TeamEC=Team C/E"  # both submitted the same replies: the organisers give them one line
# The organisers' names of systems that have other names in the judgments.
NAMES = {"Baseline S2S": "Baseline", **{f"Team {letter}": f"Team{letter}" for letter in "ABDFG"}}
QUESTIONS = {"relevance": "relevance", "interest": "informativeness", "overall": "overall"}


@dataclass(frozen=True)
class Rating:
    """A published mean rating and what follows from the judgments.

    Attributes:
        system: as the organisers name it.
        question: as the organisers name it.
        published: mean and interval.
        measured: from the judgments, or None without them.
    """

    system: str
    question: str
    published: PublishedRating
    measured: Estimate | None


def ratings(data: Path | None, settings: Settings | None = None) -> list[Rating]:
    """Return the organisers' ratings of DSTC7 beside those of the public judgments.

    Args:
        data: the file of judgments, or a folder with ``human_judgments.tsv``; None: the published ones alone.
        settings: of the intervals.

    Raises:
        UserError: the file cannot be read.
    """
    found: dict[tuple[str, str], Estimate] = {}
    if data is not None:
        file = data / FILE if data.is_dir() else data
        if not file.is_file():
            raise UserError(f"{data} has no {FILE} (the DSTC7 repository publishes it)")
        judgments = read_judgments_file(str(file))
        if {"TeamCE", "TeamEC"} <= set(judgments.systems):
            judgments = pooled(judgments, parse_pools([POOL], judgments.systems))
        lines = means(panel(judgments, answers(judgments)), settings or Settings())
        found = {(line.system, line.question): line.estimate for line in lines}
    return [
        Rating(system, question, rating, found.get((NAMES.get(system, system), QUESTIONS[question])))
        for system, of in published().ratings.items()
        for question, rating in of.items()
    ]


def rating_table(rows: Sequence[Rating]) -> Table:
    """Return, for each system, the published means, those of the judgments with both intervals, and the difference."""
    headings = ("System", *("informativeness" if q == "interest" else q for q in QUESTIONS))
    lines: list[tuple[str | Cell, ...]] = []
    for system in dict.fromkeys(row.system for row in rows):
        mine = {row.question: row for row in rows if row.system == system}
        said = [mine[question].published for question in QUESTIONS]
        lines.append((f"{system}, organisers", *(Cell(r.mean, 3, low=r.low, high=r.high) for r in said)))
        measured = [mine[question].measured for question in QUESTIONS]
        if all(one is None for one in measured):
            continue
        lines.append((f"{system}, other contexts", *(_cell(one, both=False) for one in measured)))
        lines.append((f"{system}, other contexts and judges", *(_cell(one, both=True) for one in measured)))
        pairs = zip(measured, said, strict=True)
        lines.append((f"{system}, difference of means", *(_difference(one, rating) for one, rating in pairs)))
    return Table(headings, tuple(lines))


def _cell(one: Estimate | None, both: bool) -> Cell:
    if one is None or isinstance(one.value, Undefined):
        return Cell(None, 3, why="not computed: needs judgments of this system")
    interval = one.both if both else one.contexts
    if isinstance(interval, Undefined):
        return Cell(None, 3, why=f"not computed: {interval.reason}")
    return Cell(one.value, 3, low=interval.low, high=interval.high)


def _difference(one: Estimate | None, rating: PublishedRating) -> Cell:
    if one is None or isinstance(one.value, Undefined):
        return Cell(None, 6, why="not computed: needs judgments of this system")
    return Cell(round(one.value - rating.mean, 6), 6, signed=True)


@dataclass(frozen=True)
class Comparison:
    """What follows from the published totals of one question and pair.

    Attributes:
        row: the totals.
        hidden: in the README's comment only.
        percentages: whole percentages of wins, ties, losses, half up.
        p_independent: of the sign test, as if all judgments were independent.
        p_agreeing: if the three judges of an example always agree: the largest that the totals allow.
    """

    row: Judgments
    hidden: bool
    percentages: tuple[int, int, int]
    p_independent: float
    p_agreeing: float


def comparisons() -> list[Comparison]:
    """Return what follows from the published totals of the paper's study, then from the README's hidden rows."""
    found = []
    for hidden, rows in ((False, published().judgments), (True, published().hidden_judgments)):
        for row in rows:
            bracket = total_bracket(row.wins, row.losses, JUDGES)
            percentages = Counts(row.wins, row.ties, row.losses).percentages
            p = sign_test(row.wins, row.losses)
            found.append(Comparison(row, hidden, percentages, p, bracket.agreeing))
    return found


def comparison_table(rows: Sequence[Comparison]) -> Table:
    """Return totals and percentages as the paper prints them, and the bracket of p-values."""
    lines = []
    for one in rows:
        row = one.row
        counts = zip((row.wins, row.ties, row.losses), one.percentages, strict=True)
        shown = [f"{count:,} ({share}%)" for count, share in counts]
        lines.append((row.question, row.a, *shown, row.b, p_text(one.p_independent), p_text(one.p_agreeing)))
    headings = ("Question", "A", "A preferred", "Same", "B preferred", "B", "p from", "p to")
    return Table(headings, tuple(lines))


def fits() -> dict[str, Davidson | Undefined]:
    """Return Davidson's strengths of each question from the published pairs, the human reply at 0."""
    found = {}
    for question in dict.fromkeys(row.question for row in published().judgments):
        rows = [row for row in published().judgments if row.question == question]
        names = list(dict.fromkeys(["Human", *(name for row in rows for name in (row.a, row.b))]))
        pairs = np.array([[names.index(row.a), names.index(row.b)] for row in rows])
        counts = np.array([[row.wins, row.ties, row.losses] for row in rows])
        found[question] = davidson(pairs, counts, names)
    return found


def fit_table(found: dict[str, Davidson | Undefined]) -> Table:
    """Return the strengths with their standard errors."""
    rows: list[tuple[str, ...]] = []
    known = {question: fit for question, fit in found.items() if isinstance(fit, Davidson)}
    for i, system in enumerate(next(iter(known.values())).names if known else ()):
        cells = [f"{fit.strengths[i]:.4f} ({fit.errors[i]:.4f})" for fit in known.values()]
        rows.append((system, *cells))
    rows.append(("ties (nu)", *(f"{fit.nu:.4f}" for fit in known.values())))
    rows.append(("log-likelihood", *(f"{fit.log_likelihood:.2f}" for fit in known.values())))
    return Table(("System", *known), tuple(rows))


def to_json(table: str, data: Path | None) -> dict[str, Any]:
    """Return all of it as JSON values."""
    if table == "dstc7":
        return {"schema": 1, "table": table, "ratings": plain(ratings(data))}
    return {"schema": 1, "table": table, "comparisons": plain(comparisons()), "strengths": plain(fits())}


def sections(table: str, data: Path | None) -> list[tuple[str, str, Table, Sequence[str]]]:
    """Return (heading, remark, table, lines) of each section.

    Raises:
        UserError: the judgments cannot be read.
    """
    if table == "dstc7":
        missing = [] if data else [f"not measured: needs the public judgments ({FILE}): --data FOLDER or FILE"]
        return [("Human evaluation of DSTC7", _DSTC7, rating_table(ratings(data)), missing)]
    rows = comparisons()
    shown = [row for row in rows if not row.hidden]
    return [
        ("Human evaluation of the 6K Reddit set", _REDDIT, comparison_table(shown), []),
        (
            "Rows that the README keeps in a comment",
            published().hidden_note,
            comparison_table([row for row in rows if row.hidden]),
            [],
        ),
        ("Strengths (Davidson)", _STRENGTHS, fit_table(fits()), []),
    ]


_DSTC7 = (
    "Organisers: as published, with intervals by resampling contexts. Below: the same from the public judgments, and "
    "the interval for other contexts and other judges, which the organisers do not give. Team C/E pools two systems "
    "with the same replies, context by context."
)
_REDDIT = (
    "Totals as published, with the whole percentages that follow (half up). Only totals are public, and three judges "
    "saw each example: p lies between that of the sign test, as if all judgments were independent, and that if the "
    "three always agree."
)
_STRENGTHS = (
    "Logarithms of worth with standard errors, as if judgments were independent; the human reply is 0. Three pairs of "
    "four systems form a tree: the model has a strength a system, one readiness to call ties a question."
)
