"""Tables of an analysis of judgments: pairs as the paper prints them, ratings as DSTC7 published them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dialoeval.judging.agreements import Reliability, WithPeople
from dialoeval.judging.estimates import Estimate
from dialoeval.judging.judges import Judge, Side
from dialoeval.judging.model_trust import Trust
from dialoeval.judging.ratings import Difference, Mean
from dialoeval.judging.wins import ALPHA, Strengths, Win
from dialoeval.stats import Agreement, Davidson, DavidsonIntervals, Interval, TwoWay, Undefined
from dialoeval.tables import MISSING, Cell, Strong, Table

CONTEXTS, BOTH = "other contexts", "other contexts and judges"
_LEAST = 1e-300  # p-values below it are printed as such
_MOST_COLUMNS = 11  # of points of a scale
_WIDTHS = (1, 2, 5, 10, 20, 50, 100)  # of the ranges that a longer scale is printed in


def p_text(p: float | Undefined) -> str:
    """Return a p-value as printed."""
    if isinstance(p, Undefined):
        return MISSING
    return f"{p:.2g}" if p >= _LEAST else "<1e-300"


def win_table(wins: Sequence[Win]) -> Table:
    """Return wins, ties and losses as the paper prints them: counts and whole percentages, half up.

    The side that won more often is bold only if its corrected p-value is below 0.05.
    """
    rows: list[tuple[str | Cell, ...]] = []
    for win in wins:
        counts = win.judgments
        percent = counts.percentages
        first, tie, second = (
            f"{count:,} ({share}%)"
            for count, share in zip((counts.wins, counts.ties, counts.losses), percent, strict=True)
        )
        items = win.items
        rows.append(
            (
                win.question,
                win.first,
                Strong(first) if win.winner > 0 else first,
                tie,
                Strong(second) if win.winner < 0 else second,
                win.second,
                f"{items.wins:,}/{items.ties:,}/{items.losses:,}",
                p_text(win.p_value),
                p_text(win.p_adjusted),
                p_text(win.p_independent),
            )
        )
    headings = (
        "Question",
        "A",
        "A preferred",
        "Same",
        "B preferred",
        "B",
        "Items",
        "p",
        "p corrected",
        "p as if indep.",
    )
    return Table(headings, tuple(rows))


def preference_table(wins: Sequence[Win]) -> Table:
    """Return the preferred share and the net win with both intervals."""
    rows: list[tuple[str | Cell, ...]] = []
    for win in wins:
        name = f"{win.question}: {win.first} vs {win.second}"
        rows.append(
            (
                name,
                *_pair_of_cells(win.preferred, 1, 100),
                _range(win.preferred, 1, 100),
                *_pair_of_cells(win.net, 1, 100),
            )
        )
    headings = (
        "Question and pair",
        f"A preferred, {CONTEXTS} (%)",
        f"A preferred, {BOTH} (%)",
        "Without one judge (%)",
        f"Net win, {CONTEXTS} (points)",
        f"Net win, {BOTH} (points)",
    )
    return Table(headings, tuple(rows))


def strength_table(strengths: Sequence[Strengths]) -> Table:
    """Return Davidson's strengths of each system by question, with intervals over other contexts."""
    systems = list(dict.fromkeys(name for one in strengths if isinstance(one.fit, Davidson) for name in one.fit.names))
    rows: list[tuple[str | Cell, ...]] = []
    for i, system in enumerate(systems):
        rows.append((system, *(_strength(one, i) for one in strengths)))
    rows.append(("ties (nu)", *(_nu(one) for one in strengths)))
    remarks = []
    for one in strengths:
        if isinstance(one.fit, Undefined):
            remarks.append(f"{one.question}: not computed: {one.fit.reason}.")
            continue
        fit = one.fit
        if fit.p_value is None:
            text = f"{one.question}: as many parameters as pairs, so that the fit says nothing"
        else:
            text = f"{one.question}: G2 {fit.g2:.1f} with {fit.df} degrees of freedom, p {p_text(fit.p_value)}"
            if fit.p_value < ALPHA:
                text += ": one strength a system does not explain all pairs"
        shares = "; ".join(
            f"{a} vs {b} " + "/".join(f"{100 * share:.0f}" for share in row)
            for (a, b), row in zip(one.pairs, fit.shares.tolist(), strict=True)
        )
        remarks.append(f"{text}. Predicted win/tie/loss in percent: {shares}.")
    return Table(("System", *(one.question for one in strengths)), tuple(rows), tuple(remarks))


def _strength(one: Strengths, i: int) -> Cell:
    if isinstance(one.fit, Undefined):
        return Cell(None, 3, why=f"not computed: {one.fit.reason}")
    interval = one.intervals.strengths[i] if isinstance(one.intervals, DavidsonIntervals) else one.intervals
    return _with_interval(float(one.fit.strengths[i]), interval, 3)


def _nu(one: Strengths) -> Cell:
    if isinstance(one.fit, Undefined):
        return Cell(None, 3, why=f"not computed: {one.fit.reason}")
    interval = one.intervals.nu if isinstance(one.intervals, DavidsonIntervals) else one.intervals
    return _with_interval(one.fit.nu, interval, 3)


def mean_table(means: Sequence[Mean]) -> Table:
    """Return the mean rating of each system, with both intervals."""
    systems = list(dict.fromkeys(mean.system for mean in means))
    questions = list(dict.fromkeys(mean.question for mean in means))
    found = {(mean.system, mean.question): mean for mean in means}
    headings = ["System"]
    for question in questions:
        headings += [f"{question}, {CONTEXTS}", f"{question}, {BOTH}"]
    rows: list[tuple[str | Cell, ...]] = []
    for system in systems:
        cells: list[Cell] = []
        for question in questions:
            mean = found.get((system, question))
            estimate = mean.estimate if mean else None
            cells += _pair_of_cells(estimate, 3) if estimate else [Cell(None, 3, why="not computed: not rated")] * 2
        rows.append((system, *cells))
    return Table(tuple(headings), tuple(rows))


def point_table(means: Sequence[Mean], points: Sequence[int]) -> Table:
    """Return the share of each point, the number of ratings, and the range without one judge.

    A scale of more points than the table has room for is printed in ranges of points.
    """
    width = next(width for width in _WIDTHS if len(points) <= _MOST_COLUMNS * width)
    starts = range(0, len(points), width)
    rows: list[tuple[str | Cell, ...]] = []
    for mean in means:
        shares = [Cell(100 * sum(mean.points[at : at + width]) / mean.judgments, 0, "%") for at in starts]
        if not mean.points:
            shares = [Cell(None, 0, why="a mean of questions is no point of the scale")] * len(starts)
        rows.append(
            (
                f"{mean.question}: {mean.system}",
                *shares,
                f"{mean.judgments:,}",
                str(mean.contexts),
                _range(mean.estimate, 3),
            )
        )
    ranges = [points[at : at + width] for at in starts]
    names = [str(part[0]) if len(part) == 1 else f"{part[0]} to {part[-1]}" for part in ranges]
    headings = ("Question and system", *names, "Ratings", "Contexts", "Mean without one judge")
    return Table(headings, tuple(rows))


def difference_table(differences: Sequence[Difference]) -> Table:
    """Return the paired differences of systems."""
    rows: list[tuple[str | Cell, ...]] = []
    for one in differences:
        name = f"{one.question}: {one.first} - {one.second}"
        items = f"{one.items.wins:,}/{one.items.ties:,}/{one.items.losses:,}"
        if isinstance(one.p_adjusted, float) and one.p_adjusted < ALPHA:
            adjusted: str = Strong(p_text(one.p_adjusted))
        else:
            adjusted = p_text(one.p_adjusted)
        cells = _pair_of_cells(one.estimate, 3, signed=True)
        rows.append((name, *cells, items, p_text(one.p_value), adjusted))
    headings = (
        "Question and pair",
        f"Difference, {CONTEXTS}",
        f"Difference, {BOTH}",
        "Contexts higher/equal/lower",
        "p",
        "p corrected",
    )
    return Table(headings, tuple(rows))


def reliability_table(lines: Sequence[Reliability]) -> Table:
    """Return the agreement of judges by question."""
    levels = list(dict.fromkeys(level for line in lines for level in line.alpha))
    ratings = "ordinal" in levels
    headings = ["Question", *(f"alpha, {level}" for level in levels), "Fleiss' kappa", "Equal pairs (%)"]
    headings += ["ICC(1,1)", "ICC(1,k)", "Ceiling"] if ratings else []
    rows: list[tuple[str | Cell, ...]] = []
    for line in lines:
        no_points = Undefined("means of several questions are no points of a scale")
        cells = [_agreement(line.alpha.get(level, no_points)) for level in levels]
        cells += [_agreement(line.kappa), _agreement(line.agreeing, 100, 1)]
        if ratings:
            top = line.ceiling
            why = f"not computed: {top.reason}" if isinstance(top, Undefined) else ""
            cells += [_agreement(line.icc1), _agreement(line.icc_k)]
            cells.append(Cell(None if isinstance(top, Undefined) else top, 2, why=why))
        rows.append((line.question, *cells))
    return Table(tuple(headings), tuple(rows))


def unit_table(lines: Sequence[Reliability]) -> Table:
    """Return alpha by system or pair."""
    names = list(dict.fromkeys(name for line in lines for name in line.by_unit))
    shown = [line for line in lines if line.by_unit]
    rows: list[tuple[str | Cell, ...]] = []
    for name in names:
        cells = []
        for line in shown:
            value = line.by_unit.get(name, Undefined("not judged"))
            why = f"not computed: {value.reason}" if isinstance(value, Undefined) else ""
            cells.append(Cell(None if isinstance(value, Undefined) else value, 3, why=why))
        rows.append((name, *cells))
    return Table(("Alpha of one alone", *(line.question for line in shown)), tuple(rows))


def judge_table(judges: Iterable[Judge], excluded: frozenset[str] = frozenset()) -> Table:
    """Return what each judge's answers show. A column that no judge has a figure for is left out."""
    lines = list(judges)

    def share(value: float | None, why: str) -> Cell:
        return Cell(None if value is None else 100 * value, 0, "%", why=why)

    def left(one: Side | None) -> Cell:
        known = one is not None and one.decided > 0
        return share(one.left / one.decided if known and one else None, "no decided answer whose side is known")

    def number(value: float | None, decimals: int, why: str, signed: bool = False) -> Cell:
        return Cell(value, decimals, why=why, signed=signed)

    columns: dict[str, list[str | Cell]] = {
        "Judge": [judge.judge for judge in lines],
        "Answers": [f"{judge.answers:,}" for judge in lines],
        "Share": [share(judge.share, "") for judge in lines],
        "Seconds": [number(judge.seconds, 0, "times are not known") for judge in lines],
        "Too fast": [share(judge.fast, "times are not known") for judge in lines],
        "Side A": [left(judge.side) for judge in lines],
        "Ties": [share(judge.ties, "no answers") for judge in lines],
        "Ties - others'": [
            number(None if j.ties_of_others is None else 100 * j.ties_of_others, 0, "nobody else judged them", True)
            for j in lines
        ],
        "Mean - others'": [number(judge.severity, 2, "nobody else judged them", True) for judge in lines],
        "As most others": [share(judge.agreement, "the others have no majority") for judge in lines],
        "Gold": [f"{judge.gold_passed}/{judge.gold}" for judge in lines],
        "Equal in a row": [str(judge.longest_run) for judge in lines],
        "All questions alike": [share(judge.monotone, "one question") for judge in lines],
        "Remarks": [
            "; ".join([*(["excluded"] if judge.judge in excluded else []), *judge.flags]) or MISSING for judge in lines
        ],
    }
    shown = {name: cells for name, cells in columns.items() if not _empty(cells)}
    return Table(tuple(shown), tuple(zip(*shown.values(), strict=True)))


def _empty(cells: Sequence[str | Cell]) -> bool:
    return bool(cells) and all(cell == "0/0" or (isinstance(cell, Cell) and cell.value is None) for cell in cells)


def people_table(lines: Sequence[WithPeople]) -> Table:
    """Return the agreement of a model as judge with people."""
    rows: list[tuple[str | Cell, ...]] = []
    for line in lines:
        cells = [_undefined_cell(line.equal, 1, 100), _undefined_cell(line.people, 1, 100)]
        cells += [_undefined_cell(line.alpha, 3), _undefined_cell(line.correlation, 3)]
        rows.append((line.question, f"{line.items:,}", *cells))
    headings = ("Question", "Items", "As most people (%)", "A person as most others (%)", "Alpha", "Correlation")
    return Table(headings, tuple(rows))


def trust_table(lines: Sequence[Trust]) -> Table:
    """Return what a model's verdicts rest on: order, position, length."""

    def equal(line: Trust) -> Cell:
        found = line.equal_length
        if isinstance(found, Undefined):
            return _undefined_cell(found, 1)
        return Cell(100 * found.share, 1, low=100 * found.low, high=100 * found.high)

    columns: dict[str, list[str | Cell]] = {
        "Question": [line.question for line in lines],
        "Pair": [" vs ".join(line.pair) for line in lines],
        "Items": [str(line.items) for line in lines],
        "Turned %": [f"{100 * line.turned / line.items:.1f}" for line in lines],
        "Always A": [str(line.always_first) for line in lines],
        "Always B": [str(line.always_second) for line in lines],
        "p of position": [p_text(line.position_p) for line in lines],
        "First preferred %, orders averaged": [_undefined_cell(line.averaged, 1, 100) for line in lines],
        "p": [p_text(line.averaged_p) for line in lines],
        "Longer preferred %": [_undefined_cell(line.longer, 1, 100) for line in lines],
        "First preferred %, equal length": [equal(line) for line in lines],
    }
    return Table(tuple(columns), tuple(zip(*columns.values(), strict=True)))


def _undefined_cell(value: float | Undefined, decimals: int, factor: float = 1) -> Cell:
    if isinstance(value, Undefined):
        return Cell(None, decimals, why=f"not computed: {value.reason}")
    return Cell(factor * value, decimals)


def _agreement(found: Agreement | Undefined, factor: float = 1, decimals: int = 3) -> Cell:
    if isinstance(found, Undefined):
        return Cell(None, decimals, why=f"not computed: {found.reason}")
    return _with_interval(found.value, found.interval, decimals, factor)


def _with_interval(
    value: float, interval: Interval | TwoWay | Undefined, decimals: int, factor: float = 1, signed: bool = False
) -> Cell:
    if isinstance(interval, Undefined):
        return Cell(factor * value, decimals, signed=signed)
    return Cell(factor * value, decimals, low=factor * interval.low, high=factor * interval.high, signed=signed)


def _pair_of_cells(estimate: Estimate, decimals: int, factor: float = 1, signed: bool = False) -> list[Cell]:
    """Return the figure with the interval over other contexts, and that over other contexts and judges."""
    value = estimate.value
    if isinstance(value, Undefined):
        return [Cell(None, decimals, why=f"not computed: {value.reason}")] * 2
    cells = [_with_interval(value, estimate.contexts, decimals, factor, signed)]
    if isinstance(estimate.both, Undefined):
        return [*cells, Cell(None, decimals, why=f"not computed: {estimate.both.reason}")]
    return [*cells, _with_interval(value, estimate.both, decimals, factor, signed)]


def _range(estimate: Estimate, decimals: int, factor: float = 1) -> str:
    if estimate.without_one is None:
        return MISSING
    low, high = (factor * end for end in estimate.without_one)
    return f"{low:.{decimals}f} to {high:.{decimals}f}"
