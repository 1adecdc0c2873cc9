"""The paper's published figures, which the package carries with their source, and what its human judgments can bear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dialoeval.files import read_json
from dialoeval.metrics.figures import PAPER_TABLE, Figure
from dialoeval.paths import assets_dir
from dialoeval.stats import exact_interval, sign_test
from dialoeval.tables import Cell, Heading, Table

PAPER = ("dstc7", "reddit6k")

Figures = Mapping[str, float]  # by flat name


@dataclass(frozen=True)
class PublishedTable:
    """A table of the paper.

    Attributes:
        rows: {system: figures in the unit the paper prints}.
        note: what to know about it; empty if nothing is.
    """

    title: str
    rows: Mapping[str, Figures]
    note: str = ""


@dataclass(frozen=True)
class PublishedSystems:
    """Figures of DSTC-7 systems that others computed with the official tools.

    Attributes:
        source: where they are from.
        contexts: how many they are over.
        systems: {system: figures as the tools print them}.
    """

    source: str
    contexts: int
    systems: Mapping[str, Figures]


@dataclass(frozen=True)
class Judgments:
    """Counts of pairwise human judgments of the replies of systems `a` and `b`."""

    question: str
    a: str
    b: str
    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class PublishedRating:
    """A mean rating with its 95% interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Published:
    """What assets/paper/tables.json holds.

    Attributes:
        paper: its title.
        source: of its tables.
        units: of its figures.
        tables: by name, one of `PAPER`.
        judgments: of its human evaluation.
        hidden_judgments: rows of the same study that the README keeps in a comment.
        hidden_note: about them.
        ratings: {system: {question: mean rating}} of the DSTC-7 organisers' human evaluation.
        ratings_source: where these are from.
        organisers: figures of the DSTC-7 organisers, for all contexts.
        release: figures of the official tools for the released replies.
    """

    paper: str
    source: str
    units: str
    tables: Mapping[str, PublishedTable]
    judgments: tuple[Judgments, ...]
    hidden_judgments: tuple[Judgments, ...]
    hidden_note: str
    ratings: Mapping[str, Mapping[str, PublishedRating]]
    ratings_source: str
    organisers: PublishedSystems
    release: PublishedSystems


@lru_cache(maxsize=1)
def published() -> Published:
    """Return the figures that the package carries."""
    values = read_json(assets_dir() / "paper" / "tables.json")
    return Published(
        paper=values["paper"],
        source=values["source"],
        units=values["units"],
        tables={name: PublishedTable(**table) for name, table in values["tables"].items()},
        judgments=tuple(Judgments(**row) for row in values["human_evaluation"]["rows"]),
        hidden_judgments=tuple(Judgments(**row) for row in values["human_evaluation_hidden"]["rows"]),
        hidden_note=values["human_evaluation_hidden"]["note"],
        ratings={system: _ratings(figures) for system, figures in values["dstc7_human"]["systems"].items()},
        ratings_source=values["dstc7_human"]["source"],
        organisers=PublishedSystems(**values["dstc7_organisers"]),
        release=PublishedSystems(**values["dstc7_release"]),
    )


def _ratings(figures: Mapping[str, Any]) -> dict[str, PublishedRating]:
    names = [name for name in figures if not name.endswith("_ci95")]
    return {name: PublishedRating(figures[name], *figures[f"{name}_ci95"]) for name in names}


@dataclass(frozen=True)
class KnownData:
    """A published test set: how many examples it has, and the fingerprints under which a run may know it."""

    examples: int
    fingerprints: tuple[str, ...]


@dataclass(frozen=True)
class Known:
    """What assets/paper/known.json holds: what proves that a run used the published files.

    Attributes:
        weights: {model: the values of ``generator.weights`` in a run's identity}.
        data: {table: its test set}.
    """

    weights: Mapping[str, tuple[str, ...]]
    data: Mapping[str, KnownData]


@lru_cache(maxsize=1)
def known() -> Known:
    """Return the hashes of published files that the package carries."""
    values = read_json(assets_dir() / "paper" / "known.json")
    return Known(
        weights={name: tuple(hashes) for name, hashes in values["weights"].items()},
        data={name: KnownData(data["examples"], tuple(data["fingerprints"])) for name, data in values["data"].items()},
    )


def printed_cell(value: float | None, figure: Figure, why: str = "not published") -> Cell:
    """Return a cell of a figure that is already in the unit the paper prints (percent, not a fraction)."""
    return Cell(value, figure.decimals, figure.unit_suffix, why=why, factor=100 if figure.percent else 1)


def table_of(name: str) -> Table:
    """Return the paper's table `name`, one of `PAPER`, as published."""
    headings = ("System", *(Heading(column.heading, column.name) for column in PAPER_TABLE))
    rows: list[tuple[str | Cell, ...]] = [
        (system, *(printed_cell(figures.get(column.name), column) for column in PAPER_TABLE))
        for system, figures in published().tables[name].rows.items()
    ]
    return Table(headings, tuple(rows))


def human_evaluation() -> Table:
    """Return the paper's human judgments with the share of decided ones that prefer A, and what chance would give.

    The interval is the exact 95% one (Clopper and Pearson 1934), the p-value that of the exact two-sided sign test;
    ties are left out of both. Three judges saw each example, so that judgments are not independent: the true
    uncertainty is larger.
    """
    rows = []
    for row in published().judgments:
        decided = row.wins + row.losses
        low, high = (100 * edge for edge in exact_interval(row.wins, decided))
        p_value = sign_test(row.wins, row.losses)
        rows.append(
            (
                f"{row.question}: {row.a} vs {row.b}",
                str(row.wins),
                str(row.ties),
                str(row.losses),
                Cell(100 * row.wins / decided, 1, "%"),
                f"[{low:.1f}, {high:.1f}]",
                f"{p_value:.2g}" if p_value >= 1e-300 else "<1e-300",
            )
        )
    return Table(("Question", "A wins", "Ties", "B wins", "A preferred", "95% interval", "p (sign test)"), tuple(rows))
