"""The analysis of a study or a published file: tables of people, agreement, judges, and models as judges apart."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from dialoeval.errors import UserError, nearest
from dialoeval.judging.agreements import (
    Consistency,
    QuestionPair,
    Reliability,
    WithPeople,
    consistency,
    question_pairs,
    reliability,
    with_people,
)
from dialoeval.judging.estimates import Settings, plain
from dialoeval.judging.judges import Judge, Side, judges, side
from dialoeval.judging.judgments import ItemKind, Judgment, Judgments, Standing, StudyKind
from dialoeval.judging.model_trust import Trust, gold, trust
from dialoeval.judging.panel import Panel, answers, panel
from dialoeval.judging.ratings import Difference, Mean, differences, means
from dialoeval.judging.wins import Strengths, Win, strengths, wins
from dialoeval.version import __version__

SCHEMA = 1


@dataclass(frozen=True)
class Tables:
    """What a group of judges says of the systems.

    Attributes:
        answers: number of answers.
        judges: number of judges.
        contexts: number of contexts.
        wins: of pairs.
        strengths: of pairs, by question.
        means: of ratings.
        differences: of ratings.
    """

    answers: int
    judges: int
    contexts: int
    wins: tuple[Win, ...] = ()
    strengths: tuple[Strengths, ...] = ()
    means: tuple[Mean, ...] = ()
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class Tally:
    """How many answers of each kind a source holds; all but `counted` are outside the main tables.

    Attributes:
        counted: answers of people in the main tables.
        excluded: answers of judges whom the rule of the study leaves out.
        surplus: answers beyond the number of judges asked for.
        automatic: ties of two equal replies that no judge saw.
        revised: answers that were changed later; the last one counts.
        repeat_context: answers of a judge who had seen the context before.
        gold: answers to items with a known answer.
        repeat: answers to items shown again.
        twice: visits of a judge to an item beyond the first.
        model: answers of models as judges.
        refused: items for which a model gave no answer.
        flags: {remark of the page: answers with it}.
    """

    counted: int
    excluded: int
    surplus: int
    automatic: int
    revised: int
    repeat_context: int
    gold: int
    repeat: int
    twice: int
    model: int
    refused: int
    flags: dict[str, int]


@dataclass(frozen=True)
class ModelJudge:
    """A model as judge, apart from people.

    Attributes:
        judge: its name.
        tables: its own.
        agreement: with people, on the items that both judged.
        trust: how far its verdicts on pairs rest on order, position and length; empty for ratings.
        gold: (right, all) answers to items with a known answer.
        refused: items for which it gave no answer.
    """

    judge: str
    tables: Tables
    agreement: tuple[WithPeople, ...]
    trust: tuple[Trust, ...]
    gold: tuple[int, int]
    refused: int


@dataclass(frozen=True)
class Analysis:
    """All that a report prints.

    Attributes:
        judgments: what was analysed.
        settings: how.
        tally: counts of answers.
        people: the main tables: people, without excluded judges, surplus answers, gold items, repeats.
        with_excluded: the same with excluded judges; None if none is excluded.
        with_automatic: the same with automatic ties; None if there are none.
        reliability: agreement of people.
        questions: how alike the answers to two questions are.
        consistency: of people on repeats.
        side: preference of people for the reply shown as A; None for ratings.
        judges: diagnosis of each person, excluded ones too.
        models: models as judges.
    """

    judgments: Judgments
    settings: Settings
    tally: Tally
    people: Tables
    with_excluded: Tables | None
    with_automatic: Tables | None
    reliability: tuple[Reliability, ...]
    questions: tuple[QuestionPair, ...]
    consistency: tuple[Consistency, ...]
    side: Side | None
    judges: tuple[Judge, ...]
    models: tuple[ModelJudge, ...]

    def to_json(self) -> dict[str, Any]:
        """Return what analysis.json holds."""
        about = self.judgments
        return {
            "schema": SCHEMA,
            "created_with": __version__,
            "source": about.source,
            "judgments_sha256": about.sha256,
            "kind": str(about.kind),
            "systems": list(about.systems),
            "questions": [plain(question) for question in about.questions],
            "excluded": sorted(about.excluded),
            "notes": list(about.notes),
            **{
                name: plain(getattr(self, name))
                for name in (
                    *("settings", "tally", "people", "with_excluded", "with_automatic", "reliability", "questions"),
                    *("consistency", "side", "judges", "models"),
                )
                if name != "questions"
            },
            "question_pairs": plain(self.questions),
        }


def analyse(judgments: Judgments, settings: Settings | None = None) -> Analysis:
    """Analyse judgments.

    Raises:
        UserError: the anchor is not a system of the study.
    """
    settings = settings or Settings()
    if settings.anchor is not None and settings.anchor not in judgments.systems:
        raise UserError(
            f"no system {settings.anchor!r}{nearest(settings.anchor, judgments.systems)} (systems: "
            f"{', '.join(judgments.systems)})"
        )
    counted = answers(judgments)
    automatic = [row for row in judgments.rows if row.standing == Standing.automatic]
    all_people = [row for row in counted if row.judge not in judgments.models]
    people_rows = [row for row in all_people if row.judge not in judgments.excluded]
    # one coding for people and models, so that their items can be compared
    everyone = panel(judgments, counted)
    people = everyone.where(_of(everyone, {row.judge for row in people_rows}))
    diagnosed = panel(judgments, all_people)
    repeats = [row for row in judgments.rows if row.judge not in judgments.models | judgments.excluded]
    with_excluded = with_automatic = None
    if len(all_people) > len(people_rows):
        with_excluded = tables(judgments, diagnosed, settings)
    if automatic:
        with_automatic = tables(judgments, panel(judgments, people_rows + automatic), settings)
    return Analysis(
        judgments=judgments,
        settings=settings,
        tally=_tally(judgments, len(people_rows), len(all_people) - len(people_rows)),
        people=tables(judgments, people, settings),
        with_excluded=with_excluded,
        with_automatic=with_automatic,
        reliability=reliability(people, settings.resamples, settings.seed) if len(people) else (),
        questions=question_pairs(people),
        consistency=consistency(repeats),
        side=side(people) if judgments.kind == StudyKind.pairwise else None,
        judges=judges(diagnosed, _by_people(judgments), judgments.min_seconds, judgments.gold_pass),
        models=tuple(_model(judgments, name, everyone, people, settings) for name in _models(judgments)),
    )


def tables(judgments: Judgments, of: Panel, settings: Settings) -> Tables:
    """Return the tables of a panel."""
    counts = len(of), of.judges, len(np.unique(of.context))
    if not len(of):
        return Tables(*counts)
    if judgments.kind == StudyKind.likert:
        return Tables(*counts, means=means(of, settings), differences=differences(of, settings))
    return Tables(*counts, wins=wins(of, settings), strengths=strengths(of, judgments.systems, settings))


def _models(judgments: Judgments) -> list[str]:
    return [name for name in dict.fromkeys(row.judge for row in judgments.rows) if name in judgments.models]


def _model(judgments: Judgments, name: str, everyone: Panel, people: Panel, settings: Settings) -> ModelJudge:
    mine = everyone.where(_of(everyone, {name}))
    rows = [row for row in judgments.rows if row.judge == name]
    return ModelJudge(
        name,
        tables(judgments, mine, settings),
        with_people(mine, people) if len(people) else (),
        trust(rows, judgments.words),
        gold(rows),
        sum(row.refusal is not None for row in rows),
    )


def _of(everyone: Panel, names: set[str]) -> np.ndarray:
    codes = [code for code, name in enumerate(everyone.judge_names) if name in names]
    return np.isin(everyone.judge, codes)


def _by_people(judgments: Judgments) -> list[Judgment]:
    return [row for row in judgments.rows if row.judge not in judgments.models]


def _tally(judgments: Judgments, counted: int, excluded: int) -> Tally:
    rows = _by_people(judgments)
    flags = Counter(flag for row in rows for flag in row.flags)
    seen = Counter((row.judge, row.item, row.question) for row in answers(judgments))
    return Tally(
        counted=counted,
        excluded=excluded,
        surplus=sum(row.standing == Standing.surplus for row in rows),
        automatic=sum(row.standing == Standing.automatic for row in judgments.rows),
        revised=flags["revised"],
        repeat_context=flags["repeat_context"],
        gold=sum(row.kind == ItemKind.gold for row in rows),
        repeat=sum(row.kind == ItemKind.repeat for row in rows),
        twice=len({key[:2] for key, count in seen.items() if count > 1}),
        model=len(judgments.rows) - len(rows),
        refused=sum(row.refusal is not None for row in judgments.rows),
        flags=dict(flags),
    )
