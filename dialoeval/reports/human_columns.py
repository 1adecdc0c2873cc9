"""What people said of the runs of a page, from the analysis of a study: a column a question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dialoeval.errors import UserError
from dialoeval.files import read_json
from dialoeval.judging.items import Study, find_study, load_study
from dialoeval.judging.sources import read_source
from dialoeval.metrics.figures import Figure
from dialoeval.reports.explanations import Explained
from dialoeval.reports.scores_view import Shown, marked
from dialoeval.runs.reader import LoadedRun
from dialoeval.tables import Cell

Values = Mapping[str, Any]


@dataclass(frozen=True)
class HumanColumn:
    """A question of a study.

    Attributes:
        about: what the column is about.
        cells: of each run of the page.
    """

    about: Explained
    cells: list[Shown]


def human_columns(study: str, runs: Sequence[LoadedRun], baseline: int | None) -> list[HumanColumn]:
    """Return a column for each question of a study of these runs.

    Ratings: the mean. Pairs: the share of the decided judgments that prefer the run to the baseline, or without one to
    the human reply, or else to the study's first system. Intervals are over other contexts and other judges; marks
    follow the p-values of the study's analysis, which are corrected over its questions and pairs.

    Args:
        study: its folder, or its name in the folder of studies.
        runs: of the page.
        baseline: the position of the run that the others are compared with; None: there is none.

    Raises:
        UserError: the study has no analysis, has been judged further since, or is about other replies.
    """
    found = load_study(find_study(study))
    analysis = _analysis(found)
    names = _systems(found, runs)
    given = [name for name in names if name is not None]
    if not given:
        raise UserError(f"{found.path} is a study of other replies: none of its systems is a run of this page")
    other = None if baseline is None else names[baseline]
    if other is None:
        systems = list(found.design.systems)
        other = "human" if "human" in systems else systems[0]
    people: Values = analysis["people"]
    tables = [(_rating, row["question"]) for row in people["means"]] + [
        (_share, row["question"]) for row in people["wins"]
    ]
    columns = [make(people, question, names, other) for make, question in dict.fromkeys(tables)]
    if not columns:
        raise UserError(f"{found.path}/analysis.json has no judgments of people")
    return columns


def _analysis(study: Study) -> Values:
    """Return analysis.json of a study, if it is of all its judgments."""
    file, again = study.path / "analysis.json", f"write it with `dialoeval judge report {study.path}`"
    if not file.is_file():
        raise UserError(f"{study.path} has no analysis.json: {again}")
    values = read_json(file)
    if not isinstance(values, dict) or not isinstance(values.get("people"), dict):
        raise UserError(f"{file} is not the analysis of a study: {again}")
    if values.get("judgments_sha256") != read_source(str(study.path)).sha256:
        raise UserError(f"{file} is older than the study's judgments: {again} again")
    return values


def _systems(study: Study, runs: Sequence[LoadedRun]) -> list[str | None]:
    """Return the system of the study that each run is: the one with its replies."""
    systems = {system.replies_sha256: name for name, system in study.design.systems.items() if system.index is None}
    return [systems.get(run.scores.replies_sha256 or "") for run in runs]


def _rating(people: Values, question: str, names: Sequence[str | None], other: str) -> HumanColumn:
    means = {row["system"]: row for row in people["means"] if row["question"] == question}
    tests = {(row["first"], row["second"]): row for row in people["differences"] if row["question"] == question}
    figure = Figure(f"people_{question}", f"{question} (people)")
    cells = [_estimate(means[name]["estimate"], figure) if name in means else _absent(figure) for name in names]
    shown = []
    for name, cell in zip(names, cells, strict=True):
        test = tests.get((str(name), other)) or tests.get((other, str(name)))
        reference = means.get(other, {}).get("estimate", {}).get("value")
        shown.append((cell, test, reference))
    judged = sum(row["judgments"] for row in means.values())
    text = f"Mean rating by people: {judged:,} judgments. The interval is over other contexts and other judges."
    return _column(figure, shown, text, other)


def _share(people: Values, question: str, names: Sequence[str | None], other: str) -> HumanColumn:
    wins = {(row["first"], row["second"]): row for row in people["wins"] if row["question"] == question}
    figure = Figure(f"people_{question}", f"{question}: preferred to {other} (people)", decimals=1, percent=True)
    shown = []
    for name in names:
        pair = wins.get((str(name), other)) or wins.get((other, str(name)))
        if pair is None:
            shown.append((_absent(figure, f"not judged against {other}"), None, 0.5))
        else:
            shown.append((_estimate(pair["preferred"], figure, flipped=pair["first"] == other), pair, 0.5))
    text = (
        f"Share of the decided judgments that prefer the run's reply to that of {other}; ties are left out. The "
        "interval is over other contexts and other judges."
    )
    return _column(figure, shown, text, other)


def _column(
    figure: Figure, found: Sequence[tuple[Cell, Values | None, float | None]], text: str, other: str
) -> HumanColumn:
    cells = []
    for cell, test, reference in found:
        p = test.get("p_adjusted") if test else None
        if cell.value is None or not isinstance(p, int | float) or not isinstance(reference, int | float):
            cells.append(Shown(cell))
        else:
            factor = 100 if figure.percent else 1
            cells.append(marked(cell, False, figure, cell.value - factor * reference, p, other))
    about = Explained(figure.name, figure.heading, "↑", "higher is better", text)
    return HumanColumn(about, cells)


def _estimate(estimate: Values, figure: Figure, flipped: bool = False) -> Cell:
    """Return an estimate of analysis.json as a cell; flipped: of the other side, as 1 minus the share."""
    value = estimate["value"]
    if not isinstance(value, int | float):
        return _absent(figure, f"not computed: {value['not_computed']}")
    both = estimate["both"]
    ends = (both["low"], both["high"]) if "low" in both else None
    if flipped:
        value, ends = 1 - value, ends and (1 - ends[1], 1 - ends[0])
    return figure.cell(value, ends)


def _absent(figure: Figure, why: str = "not a system of the study") -> Cell:
    return figure.cell(None, why=why)
