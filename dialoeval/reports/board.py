"""All runs of a reports folder on one board: rows that may be ranked together, seeds folded, other data apart."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dialoeval.errors import UserError
from dialoeval.files import sha256_json
from dialoeval.metrics.figures import FIGURES, Figure
from dialoeval.metrics.registry import figure as figure_named
from dialoeval.metrics.score_tables import columns as score_columns
from dialoeval.metrics.score_tables import data_title
from dialoeval.metrics.scores import Scores, protocol_json
from dialoeval.reports.board_settings import Names, chosen, key_of, sort_key, written
from dialoeval.runs.frame import LeftOut, ScoredRun, left_out_text, scored_runs
from dialoeval.runs.reader import distinct_names
from dialoeval.runs.records import RunSettings
from dialoeval.tables import Cell

GROUPS = ("model", "decoding")


@dataclass(frozen=True)
class BoardSettings:
    """What a board shows.

    Attributes:
        columns: flat names of figures, and settings; empty: the paper's figures and all extra metrics.
        sort: a figure, the best first, or a setting; empty: the first figure shown.
        filters: ``KEY=VALUE``, all of which a run must fit; several values are separated by commas.
        group: "model" or "decoding": its rows together; empty: none.
        each_seed: a row a run, not one for all seeds.
        reverse: the last row first.
    """

    columns: tuple[str, ...] = ()
    sort: str = ""
    filters: tuple[str, ...] = ()
    group: str = ""
    each_seed: bool = False
    reverse: bool = False

    def __post_init__(self) -> None:
        if self.group not in ("", *GROUPS):
            raise UserError(f"unknown group {self.group!r}: expected {' or '.join(GROUPS)}")


@dataclass(frozen=True)
class Row:
    """A run, or the runs that differ in their seed alone.

    Attributes:
        name: model and decoding, with the settings that tell it from the other rows.
        runs: the runs, by seed.
    """

    name: str
    runs: tuple[ScoredRun, ...]

    @property
    def seeds(self) -> list[Any]:
        """The seed of each run that drew at random."""
        return [run.identity.get("seed") for run in self.runs if run.identity.get("seed") is not None]

    @cached_property
    def values(self) -> dict[str, Any]:
        """Settings under dotted keys, and the short names (`settings_of`); where the runs differ, all values."""
        first, *others = map(settings_of, self.runs)
        for key in first if others else ():
            shown = dict.fromkeys(written(one.get(key)) for one in (first, *others))
            if len(shown) > 1:
                first[key] = ", ".join(shown)
        return first

    @property
    def is_mark(self) -> bool:
        """Whether it is a floor or the human reply: these stand below the others, and are not ranked."""
        return self.runs[0].settings.is_mark

    @property
    def scores(self) -> Scores:
        """The scores of the first run."""
        return self.runs[0].scores

    def get(self, name: str) -> float | None:
        """Return a figure: of several runs the mean, if all have it."""
        values = [value for run in self.runs if (value := run.scores.get(name)) is not None]
        return statistics.fmean(values) if len(values) == len(self.runs) else None

    def spread(self, name: str) -> float | None:
        """Return the standard deviation of a figure over the runs (n - 1 below the line); None of one run."""
        values = [value for run in self.runs if (value := run.scores.get(name)) is not None]
        return statistics.stdev(values) if 1 < len(values) == len(self.runs) else None

    def cell(self, figure: Figure) -> Cell:
        """Return a figure with its 95% interval, or the mean of several runs with its standard deviation."""
        if len(self.runs) == 1:
            return self.scores.cell(figure)
        reasons = [reason for run in self.runs if (reason := run.scores.missing(figure.name))]
        lacking = f" in {len(reasons)} of {len(self.runs)} seeds" if len(reasons) < len(self.runs) else ""
        return figure.mean_cell(
            self.get(figure.name), self.spread(figure.name), why=reasons[0] + lacking if reasons else ""
        )


@dataclass(frozen=True)
class Section:
    """Rows on the same examples, scored under the same protocol: only these are ranked together.

    Attributes:
        rows: in order.
        groups: (heading, its rows), or one without a heading.
        remarks: sentences about figures that cannot be compared, and what is suspicious about texts.
    """

    rows: tuple[Row, ...]
    groups: tuple[tuple[str, tuple[Row, ...]], ...]
    remarks: tuple[str, ...]

    @property
    def title(self) -> str:
        """The data, their size, the protocol, and the first digits of the data's fingerprint."""
        first = self.rows[0]
        names = ", ".join(dict.fromkeys(str(row.values["dataset"]) for row in self.rows))
        return data_title(names, first.runs[0].data, first.scores)


@dataclass(frozen=True)
class Board:
    """What is shown of a reports folder.

    Attributes:
        folders: the reports folders.
        settings: that chose it.
        columns: figures, and keys of settings, in order.
        sections: one for each set of examples and protocol.
        left_out: runs without figures.
        filtered: complete runs that do not fit the filters.
    """

    folders: tuple[str, ...]
    settings: BoardSettings
    columns: tuple[Figure | str, ...]
    sections: tuple[Section, ...]
    left_out: tuple[LeftOut, ...]
    filtered: int

    def notes(self) -> list[str]:
        """Return how many runs are shown, and which are not, and why."""
        shown = sum(len(row.runs) for section in self.sections for row in section.rows)
        notes = [f"{shown} of {shown + self.filtered + len(self.left_out)} runs are shown."]
        if len(self.sections) > 1:
            notes.append(
                f"{len(self.sections)} tables: figures on other data or under another protocol cannot be compared."
            )
        if self.filtered:
            notes.append(f"{self.filtered} complete: left out by {' and '.join(self.settings.filters)}")
        return [*notes, *left_out_text(self.left_out)]


def settings_of(run: ScoredRun) -> dict[str, Any]:
    """Return the settings of a run under dotted keys, with ``model``, ``decoding`` and others for their names."""
    settings = run.settings
    names = {"model": settings.model, "decoding": settings.decoding, "dataset": settings.dataset}
    return {
        **settings.flat(),
        **{key: section.get("name") for key, section in names.items()},
        "protocol": run.scores.protocol.name,
        "engine": run.engine,
        "n": run.scores.n,
        "run": run.name,
    }


def make_board(folders: Sequence[str | os.PathLike[str]], settings: BoardSettings) -> Board:
    """Return the board of reports folders.

    Raises:
        UserError: a folder holds no runs, none is complete or fits the filters, or an unknown column or setting.
    """
    runs: dict[str, ScoredRun] = {}
    left_out: list[LeftOut] = []
    for folder in {str(Path(folder).resolve()): folder for folder in folders}.values():
        complete, others = scored_runs(folder)
        runs |= {str(run.path.resolve()): run for run in complete}
        left_out += others
    if not runs:
        where = ", ".join(map(str, folders))
        raise UserError(f"{where}: no run is complete and scored ({'; '.join(left_out_text(left_out))})")
    known = Names.of([settings_of(run) for run in runs.values()], [run.scores for run in runs.values()])
    kept = chosen(list(runs.values()), [settings_of(run) for run in runs.values()], settings.filters, known)
    columns = tuple(_column(name, known) for name in settings.columns) or score_columns([run.scores for run in kept])
    apart: dict[str, list[ScoredRun]] = {}
    for run in kept:
        apart.setdefault(f"{run.data} {sha256_json(protocol_json(run.scores.protocol))}", []).append(run)
    order = _order(settings, columns, known)
    sections = tuple(
        _section(together, settings, columns, order) for together in sorted(apart.values(), key=len, reverse=True)
    )
    return Board(tuple(map(str, folders)), settings, columns, sections, tuple(left_out), len(runs) - len(kept))


def _column(name: str, known: Names) -> Figure | str:
    """Return the figure of that name, or the key of the setting."""
    return figure_named(name) if name in known.figures or name in FIGURES else key_of(name, known)


def _order(
    settings: BoardSettings, columns: Sequence[Figure | str], known: Names
) -> Callable[[Sequence[Row]], list[Row]]:
    """Return the function that sorts rows: the best figure first, settings upwards; missing ones, then marks last."""
    figures = [column for column in columns if isinstance(column, Figure)]
    usual = next((figure for figure in figures if figure.name == "nist4"), figures[0] if figures else FIGURES["nist4"])
    by = _column(settings.sort, known) if settings.sort else usual

    def sort(rows: Sequence[Row]) -> list[Row]:
        def value(row: Row) -> Any:
            return row.get(by.name) if isinstance(by, Figure) else row.values.get(by)

        downwards = isinstance(by, Figure) and by.higher_is_better is not False
        present = sorted(
            sorted((row for row in rows if value(row) is not None), key=lambda row: row.name),
            key=lambda row: sort_key(value(row)),
            reverse=downwards != settings.reverse,
        )
        whole = [*present, *(row for row in rows if value(row) is None)]
        return sorted(whole, key=lambda row: row.is_mark)

    return sort


def _section(
    runs: Sequence[ScoredRun],
    settings: BoardSettings,
    columns: Sequence[Figure | str],
    order: Callable[[Sequence[Row]], list[Row]],
) -> Section:
    """Return the rows of runs that may be ranked together."""
    folded = _folded(runs, settings.each_seed)
    plain = [_without_seed(part) if not settings.each_seed else part[0].settings for part in folded]
    names = distinct_names(plain, [part[0].name for part in folded])
    rows = order([Row(name, part) for name, part in zip(names, folded, strict=True)])
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(str(row.values[settings.group]) if settings.group else "", []).append(row)
    remarks = [*_unlike(rows, columns), *_copies(rows), *_warnings(rows)]
    parts = tuple((heading, tuple(members)) for heading, members in groups.items())
    return Section(tuple(row for _, members in parts for row in members), parts, tuple(remarks))


def _folded(runs: Sequence[ScoredRun], each_seed: bool) -> list[tuple[ScoredRun, ...]]:
    """Return the runs that differ in their seed alone together, by seed.

    These have one identity but for the seed, and one name of model and decoding. A run without a seed draws nothing at
    random: another run of its identity is a copy.
    """
    apart: dict[str, list[ScoredRun]] = {}
    for run in runs:
        names = [run.settings.model.get("name"), run.settings.decoding.get("name")]
        identity = run.identity if each_seed else {key: x for key, x in run.identity.items() if key != "seed"}
        apart.setdefault(run.name if each_seed else sha256_json([names, identity]), []).append(run)
    together: list[tuple[ScoredRun, ...]] = []
    for members in apart.values():
        members.sort(key=lambda run: sort_key(run.identity.get("seed")))
        seeds = [run.identity.get("seed") for run in members]
        if len(members) > 1 and (None in seeds or len(set(seeds)) < len(seeds)):
            together += [(run,) for run in members]
        else:
            together.append(tuple(members))
    return together


def _without_seed(runs: Sequence[ScoredRun]) -> RunSettings:
    """Return the settings by which a row is named: the seed is not among them where it tells no rows apart."""
    return RunSettings({key: value for key, value in runs[0].settings.sections.items() if key != "seed"})


def _unlike(rows: Sequence[Row], columns: Iterable[Figure | str]) -> list[str]:
    """Return a sentence for each figure that was not computed in one way for all rows."""
    remarks = []
    for column in columns:
        if not isinstance(column, Figure):
            continue
        ways: dict[str, list[str]] = {}
        for row in rows:
            for run in row.runs:
                if column.name in run.scores:
                    ways.setdefault(_way(run.scores, column.name), []).append(row.name)
        if len(ways) > 1:
            listed = "; ".join(f"{way} ({', '.join(dict.fromkeys(names))})" for way, names in ways.items())
            remarks.append(f"{column.heading} was not computed alike, and cannot be compared: {listed}")
    return remarks


def _way(scores: Scores, name: str) -> str:
    """Return the signature of a figure without the version of this package."""
    return "|".join(part for part in scores.signature_of(name).split("|") if not part.startswith("version:dialoeval"))


def _copies(rows: Sequence[Row]) -> list[str]:
    """Return a sentence for runs of one identity: one run, copied or under another name."""
    same: dict[str, list[str]] = {}
    for row in rows:
        for run in row.runs:
            same.setdefault(sha256_json(dict(run.identity)), []).append(run.name)
    return [f"{' and '.join(names)} have one identity: they are one run, not several" for names in same.values()
            if len(names) > 1]  # fmt: skip


def _warnings(rows: Sequence[Row]) -> list[str]:
    return [f"{row.name}: {found.message}" for row in rows for run in row.runs for found in run.scores.warnings]
