"""The report on judgments as sections, for report.md and for the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dialoeval.judging.analysis import Analysis, ModelJudge, Tables
from dialoeval.judging.judgments import StudyKind
from dialoeval.judging.model_trust import Trust
from dialoeval.reports import judgments_tables as draw
from dialoeval.stats import Agreement, Interval, TwoWay, Undefined
from dialoeval.tables import Table

_JUDGES_SHOWN = 50


@dataclass(frozen=True)
class Section:
    """A section of the report.

    Attributes:
        heading: of the section.
        remark: a paragraph before the tables; empty if there is none.
        tables: its tables.
        lines: of a list below them.
        name: which figures of the page belong to it; empty for none.
    """

    heading: str
    remark: str = ""
    tables: tuple[Table, ...] = ()
    lines: tuple[str, ...] = ()
    name: str = ""


def title(analysis: Analysis) -> str:
    """Return the title of the report."""
    return f"Human evaluation of {len(analysis.judgments.systems)} systems"


def meta(analysis: Analysis) -> str:
    """Return one line about the judgments."""
    people = analysis.people
    whose = f"{people.answers:,} answers of {people.judges:,} judges on {people.contexts:,} contexts"
    if analysis.models and not people.answers:
        whose = "no answers of people"
    for model in analysis.models:
        whose += f"; {model.tables.answers:,} of a model, {model.judge}"
    return (
        f"{whose}, from "
        f"{analysis.judgments.source} (sha256 {analysis.judgments.sha256[:12]}); {analysis.settings.resamples:,} "
        f"resamples, seed {analysis.settings.seed}"
    )


def sections(analysis: Analysis) -> list[Section]:
    """Return the report, the headline first."""
    pairwise = analysis.judgments.kind == StudyKind.pairwise
    found = [*_results(analysis.people, pairwise, analysis)]
    if analysis.with_excluded:
        found += _again(analysis.with_excluded, "With the judges that the study's rule excludes", pairwise)
    if analysis.with_automatic:
        found += _again(analysis.with_automatic, "With equal replies counted as ties", pairwise)
    found.append(_agreement(analysis))
    found.append(_judges(analysis))
    for model in analysis.models:
        found += _model(model, pairwise)
    found.append(Section("What was counted", lines=tuple(_tally(analysis))))
    return found


def to_markdown(analysis: Analysis) -> str:
    """Return report.md."""
    parts = [f"# {title(analysis)}\n", f"{meta(analysis)}\n"]
    for section in sections(analysis):
        parts.append(f"## {section.heading}\n")
        if section.remark:
            parts.append(f"{section.remark}\n")
        parts += [table.to_markdown() for table in section.tables]
        if section.lines:
            parts.append("".join(f"- {line}\n" for line in section.lines))
    return "\n".join(parts)


def headlines(analysis: Analysis) -> Iterator[Section]:
    """Yield what the command prints: the table of people, then that of each model with how far to believe it."""
    pairwise = analysis.judgments.kind == StudyKind.pairwise
    if analysis.people.answers or not analysis.models:
        yield Section("People", tables=(_main_table(analysis.people, pairwise),))
    for model in analysis.models:
        shown = (_main_table(model.tables, pairwise),) if model.tables.answers else ()
        yield Section(f"Model as judge: {model.judge}", "", shown, tuple(_belief(line) for line in model.trust))


def _main_table(tables: Tables, pairwise: bool) -> Table:
    return draw.win_table(tables.wins) if pairwise else draw.mean_table(tables.means)


def _results(tables: Tables, pairwise: bool, analysis: Analysis) -> Iterator[Section]:
    if not tables.answers:
        why = "not computed: needs judgments, and there are none of people"
        yield Section("Win, tie, loss" if pairwise else "Mean ratings", why)
        return
    if pairwise:
        yield Section("Win, tie, loss", _WINS, (draw.win_table(tables.wins),), name="wins")
        lines = _intervals_notes(tables)
        yield Section("Preference", _PREFERENCE, (draw.preference_table(tables.wins),), lines, name="preference")
        yield Section("Strengths", _STRENGTHS, (draw.strength_table(tables.strengths),))
        return
    points = [point for point, _ in analysis.judgments.questions[0].points]
    yield Section("Mean ratings", _MEANS, (draw.mean_table(tables.means),), _intervals_notes(tables), name="means")
    yield Section("Points given", "", (draw.point_table(tables.means, points),))
    if tables.differences:
        yield Section("Differences", _DIFFERENCES, (draw.difference_table(tables.differences),))


def _again(tables: Tables, heading: str, pairwise: bool) -> list[Section]:
    if pairwise:
        return [Section(heading, "", (draw.win_table(tables.wins), draw.preference_table(tables.wins)))]
    return [Section(heading, "", (draw.mean_table(tables.means),))]


def _intervals_notes(tables: Tables) -> tuple[str, ...]:
    """Return what the intervals rest on."""
    estimates = [win.preferred for win in tables.wins] + [mean.estimate for mean in tables.means]
    ratios = [
        (e.pigeonhole.high - e.pigeonhole.low) / (2 * e.both.half_width)
        for e in estimates
        if isinstance(e.both, TwoWay) and isinstance(e.pigeonhole, Interval)
    ]
    few = {e.both.judges for e in estimates if isinstance(e.both, TwoWay) and e.both.df is not None}
    reasons = {e.contexts.reason for e in estimates if isinstance(e.contexts, Undefined)}
    lines = [f"No interval over other contexts: {reason}." for reason in sorted(reasons)]
    if few:
        count = min(few)
        lines.append(
            f"With {count} judges{'' if len(few) == 1 else ' or more'} (fewer than ten) the interval over judges uses "
            "Student's t; it rests on few judges."
        )
    if ratios:
        lines.append(
            "Cross-check by drawing contexts and judges anew (pigeonhole bootstrap, which errs on the wide side): "
            f"{min(ratios):.2f} to {max(ratios):.2f} times as wide as the interval over contexts and judges."
        )
    return tuple(lines)


def _agreement(analysis: Analysis) -> Section:
    if not analysis.reliability:
        return Section("Agreement", "not computed: needs judgments of people")
    tables = [draw.reliability_table(analysis.reliability)]
    if len(next(iter(analysis.reliability)).by_unit) > 1:
        tables.append(draw.unit_table(analysis.reliability))
    lines = []
    for pair in analysis.questions:
        r = pair.correlation
        shown = f"not computed: {r.reason}" if isinstance(r, Undefined) else f"{r:.3f}"
        lines.append(
            f"{pair.first} and {pair.second}: the same answer in {100 * pair.equal:.1f}% of {pair.answers:,} "
            f"judgments, correlation {shown}."
        )
    for one in analysis.consistency:
        lines.append(
            f"{one.question}: {one.equal} of {one.repeats} repeats with the sides swapped were answered alike "
            f"({100 * one.equal / one.repeats:.0f}%, 95% interval {100 * one.low:.0f} to {100 * one.high:.0f}%)."
        )
    alphas = [alpha for line in analysis.reliability for alpha in line.alpha.values()]
    left_out = next((alpha.left_out for alpha in alphas if isinstance(alpha, Agreement)), 0)
    if left_out:
        lines.append(f"{left_out:,} items with one judgment say nothing about agreement and are left out.")
    return Section("Agreement", _AGREEMENT, tuple(tables), tuple(lines))


def _judges(analysis: Analysis) -> Section:
    if not analysis.judges:
        return Section("Judges", "not computed: needs judgments of people")
    lines = []
    if analysis.side is not None and analysis.side.decided:
        side = analysis.side
        lines.append(
            f"All judges preferred the reply shown as A in {100 * side.left / side.decided:.1f}% of {side.decided:,} "
            f"decided judgments (exact p {draw.p_text(side.p_value)})."
        )
    elif analysis.side is not None:
        lines.append("Preference for a side: not computed: needs judgments whose side is known.")
    shown = list(analysis.judges[:_JUDGES_SHOWN])
    shown += [judge for judge in analysis.judges[_JUDGES_SHOWN:] if judge.flags]
    if len(shown) < len(analysis.judges):
        lines.append(
            f"{len(analysis.judges) - len(shown):,} further judges without remarks are in analysis.json only; they "
            f"gave {100 * sum(j.share for j in analysis.judges if j not in shown):.0f}% of the answers."
        )
    return Section("Judges", _JUDGES, (draw.judge_table(shown, analysis.judgments.excluded),), tuple(lines))


def _model(model: ModelJudge, pairwise: bool) -> list[Section]:
    tables = model.tables
    lines = []
    if model.refused:
        lines.append(f"{model.refused:,} items without an answer.")
    right, asked = model.gold
    if asked:
        lines.append(f"{right:,} of {asked:,} answers to items with a known answer are right.")
    lines += [_belief(line) for line in model.trust]
    shown = []
    if tables.answers:
        shown.append(_main_table(tables, pairwise))
    else:
        lines.append("Its tables: not computed: needs answers.")
    if model.agreement:
        shown.append(draw.people_table(model.agreement))
    else:
        lines.append("Agreement with people: not computed: needs judgments of people.")
    if model.trust:
        shown.append(draw.trust_table(model.trust))
    return [Section(f"Model as judge: {model.judge}", _MODEL, tuple(shown), tuple(lines))]


def _belief(line: Trust) -> str:
    """Return one sentence on what a model's verdicts on a question rest on."""
    share = line.turned / line.items
    about = f"{line.question}, {' vs '.join(line.pair)}: the verdict turned with the order on {100 * share:.0f}%"
    if share >= _TURNS_TOO_OFTEN:
        return f"{about} of {line.items:,} items: it follows position, not the replies; do not believe it."
    return f"{about} of {line.items:,} items, which count as ties."


def _tally(analysis: Analysis) -> Iterator[str]:
    tally, judgments = analysis.tally, analysis.judgments
    yield f"{tally.counted:,} answers of people are in the tables."
    counts: Sequence[tuple[int, str]] = (
        (tally.excluded, f"of judges whom the study's rule excludes ({', '.join(sorted(judgments.excluded))})"),
        (tally.surplus, "beyond the number of judges asked for: kept, not counted"),
        (tally.automatic, "ties of equal replies that no judge saw: in a table of their own"),
        (tally.revised, "revised by their judge: the last answer counts"),
        (tally.repeat_context, "by a judge who had seen the context before: counted"),
        (tally.gold, "to gold items, for the table of judges only"),
        (tally.repeat, "to repeats, for consistency only"),
        (tally.model, "of models as judges, which are never pooled with people"),
        (tally.refused, "missing: the model refused"),
    )
    for count, what in counts:
        if count:
            yield f"{count:,} {what}."
    for note in judgments.notes:
        yield f"{note}."


_TURNS_TOO_OFTEN = 0.5  # a judge that answers by a fair coin in each order turns on half of the items
_WINS = (
    "Answers to each question, with whole percentages of all answers, rounded half up: they need not add to 100. The "
    "side preferred more often is bold only if its corrected p is below 0.05. Items: wins/ties/losses of items by the "
    "majority of their judges. p: exact sign-flip test over items, which allows for judges of one item going "
    "together; corrected: Holm, over questions and pairs; as if independent: sign test over decided answers, too "
    "small if judges of one item agree."
)
_PREFERENCE = (
    "A preferred: share of the decided answers. Net win: share of wins minus share of losses among all answers. Each "
    "has two 95% intervals: what other contexts would change with these judges, and what other contexts and other "
    "judges would. The second is the one for a claim about people. Without one judge: the range if any one judge is "
    "left out."
)
_STRENGTHS = (
    "Davidson's model of preferences with ties: the logarithm of worth, 0 for the anchor, with 95% intervals over "
    "other contexts. Strengths are given only where they exist: without a prior and without made-up counts."
)
_MEANS = (
    "Plain means of the ratings; overall is the mean of the questions. Each has two 95% intervals: what other "
    "contexts would change with these judges (as DSTC7 published it), and what other contexts and other judges would."
)
_DIFFERENCES = (
    "Differences of means with both 95% intervals. p: random sign flips of the differences of context means; "
    "corrected: Holm, over questions and pairs. A difference whose second interval holds 0 may not survive other "
    "judges."
)
_AGREEMENT = (
    "Krippendorff's alpha is 1 for full agreement and 0 for chance; sides are mapped to systems first. ICC(1,k) is "
    "the reliability of the mean of k judgments; the ceiling, its root, is the correlation with these ratings that a "
    "perfect metric would have. Alpha of one system or pair alone sinks towards 0 if replies hardly vary."
)
_JUDGES = "Nothing is removed for these figures: they are remarks for a person to look at."
_MODEL = (
    "A model is a judge of another kind: its answers are never pooled with people's. Compare its share of answers "
    "like most people's with that of a person like most others."
)
