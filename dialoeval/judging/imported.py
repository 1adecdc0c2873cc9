"""Judgments from a file: the public ratings of DSTC7, a table with columns of its own, or our own judgments.jsonl."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dialoeval.data.content import Content, content
from dialoeval.data.formats import Cells, Format, detect, rows
from dialoeval.errors import UserError
from dialoeval.judging.answers import Answer, read_preferences, read_ratings
from dialoeval.judging.column_map import ColumnMap
from dialoeval.judging.judgments import DSTC7_STATEMENTS, PAPER_QUESTIONS, Judgment, Judgments, Question, StudyKind
from dialoeval.judging.nested import flattened, inner_names
from dialoeval.judging.ratings import OVERALL
from dialoeval.judging.values import (
    MOST_POINTS,
    Scale,
    ValueMap,
    folded,
    is_empty,
    is_missing,
    number_of,
    shown,
    text_of,
)

_OWN = {"item", "context", "systems", "judge", "question", "value"}  # fields of our own judgments.jsonl
_OWN_TABLE = {"item", "context", "first", "second", "judge", "question", "value", "gold", "standing"}  # judgments.tsv


@dataclass(frozen=True)
class ImportSettings:
    """How a file of judgments is read.

    Attributes:
        columns: named by the user.
        kind: of the judgments; None: pairs if there are columns for a first and a second system.
        scale: of the answers; None: ratings lie on 1 to 5, and preferences on no scale.
        values: what answers mean, named by the user.
        skip_empty: leave empty answers, and rows without judge, context or system, out and count them.
    """

    columns: ColumnMap = field(default_factory=lambda: ColumnMap({}))
    kind: StudyKind | None = None
    scale: Scale | None = None
    values: ValueMap = field(default_factory=ValueMap)
    skip_empty: bool = False


def read_judgments_file(path: str, settings: ImportSettings | None = None) -> Judgments:
    """Read judgments from CSV, TSV, JSON lines, JSON or Parquet, its format told by its content.

    A judge may have judged an item twice: both judgments are kept, and the notes count them. The notes also say which
    columns were read, and how preferences were.

    Raises:
        UserError: the file cannot be read, a column is missing, or a value is none that a judge can give or may mean
            two things; the message names file, line and field.
    """
    settings = settings or ImportSettings()
    source = content(path)
    form = detect(source)
    if form == Format.text:
        raise UserError(f"{path}: neither JSON lines nor a table with columns (CSV, TSV or Parquet)")
    if form == Format.csv and b";" in (names := source.head.partition(b"\n")[0]) and b"," not in names:
        raise UserError(f"{path}: its columns are separated by semicolons: save it with commas or tabs")
    table = list(_readable(source, form))
    if not table:
        raise UserError(f"{path} holds no judgments")
    if set(table[0][1]) >= _OWN:
        return _own([Judgment.from_json(cells, where) for where, cells in table], source, settings)
    places = {str(name) for _, cells in table for name, value in cells.items() if isinstance(value, list)}
    table = flattened(table, settings.columns.named())
    header = list(dict.fromkeys(str(name) for _, cells in table for name in cells))
    if set(header) >= _OWN_TABLE:
        raise UserError(f"{path} is the table of a study: read judgments.jsonl beside it, which has all its fields")
    lists = {str(name) for _, cells in table for name, value in cells.items() if isinstance(value, list)}
    columns = settings.columns.completed(header, path, lists, inner_names(table))
    kind = settings.kind or _kind(columns)
    if (kind == StudyKind.pairwise) != ("first" in columns.columns and "second" in columns.columns):
        raise UserError(
            f"{path}: kind {kind} needs columns {'first and second' if kind == StudyKind.pairwise else 'system'}, and "
            f"no {'system' if kind == StudyKind.pairwise else 'first and second'} (name them with --map)"
        )
    columns = columns.used_by(pairs=kind == StudyKind.pairwise)
    skipped: Counter[str] = Counter()
    answers = list(_answers(table, columns, replace(settings, kind=kind), skipped))
    if not answers:
        raise UserError(f"{path} holds no judgments: every answer is empty")
    _check_systems(answers, settings.columns, columns, path)
    if kind == StudyKind.pairwise:
        sides = columns.columns["first"], columns.columns["second"]
        judgments, notes = read_preferences(answers, settings.scale, settings.values, sides)
    else:
        judgments, notes = read_ratings(answers, settings.scale, settings.values)
    if skipped:
        notes.append(f"left out (--skip-empty): {'; '.join(f'{what}: {count:,}' for what, count in skipped.items())}")
    if columns.columns.get("judge", "") in {"", *(places - lists)}:
        notes.append(
            "no column names the judges: answers at the same place of the lists are taken for those of one judge, and "
            "intervals over judges hold only if they are"
        )
    return _collected(judgments, kind, _points(settings.scale), source, [*notes, columns.note(header)])


def _check_systems(answers: Sequence[Answer], named: ColumnMap, columns: ColumnMap, path: str) -> None:
    """Refuse columns of systems, unless the user named them, whose values are as many as texts would be."""
    recognised = [columns.columns[name] for name in ("system", "first", "second") if name in columns.columns]
    items = len({answer.base.item for answer in answers})
    systems = {system for answer in answers for system in answer.systems}
    if len(systems) > max(20, items / 2) and not {"system", "first"} & named.columns.keys():
        raise UserError(
            f"{path}: {' and '.join(recognised)} hold {len(systems):,} different values, which look like replies, not "
            "names of systems (name the columns with --map if they are)"
        )


def _readable(source: Content, form: Format) -> Iterator[tuple[str, Cells]]:
    for row in rows(source, form):
        if isinstance(row.value, UserError):
            raise UserError(f"{row.where}: {row.value}")
        yield row.where, row.value


def _kind(columns: ColumnMap) -> StudyKind:
    return StudyKind.pairwise if {"first", "second"} <= columns.columns.keys() else StudyKind.likert


def _points(scale: Scale | None) -> tuple[tuple[int, str], ...]:
    if scale is None or scale == Scale():
        return DSTC7_STATEMENTS[0].points
    return tuple((point, str(point)) for point in range(scale.lowest, scale.highest + 1))


def _answers(
    table: Sequence[tuple[str, Cells]], columns: ColumnMap, settings: ImportSettings, skipped: Counter[str]
) -> Iterator[Answer]:
    """Yield each answer: one for each question of a wide row, one for a long row."""
    order: dict[str, int] = {}
    spelled = {OVERALL: OVERALL}  # Relevance and relevance are one question; a question Overall takes the mean's place
    sides = ("first", "second") if settings.kind == StudyKind.pairwise else ("system",)
    needed = [columns.columns[name] for name in ("context", "judge", "question", *sides) if name in columns.columns]
    for where, cells in table:
        if settings.skip_empty and any(is_empty(cells.get(column)) for column in needed):
            skipped["rows without judge, context, system or question"] += 1
            continue
        context = _text(cells, columns.columns["context"], where)
        systems = tuple(_text(cells, columns.columns[name], where) for name in sides)
        if len(set(systems)) < len(systems):
            raise UserError(f"{where}: both systems are {systems[0]!r}")
        for system in systems:
            order.setdefault(system, len(order))
        ordered = tuple(sorted(systems, key=order.__getitem__))
        base = Judgment(
            item=" / ".join((context, *ordered)), context=context, systems=ordered, judge="", question="", value=0
        )
        base = _with_optional(base, cells, columns, where)
        for question, column in _asked(cells, columns, where):
            name = spelled.setdefault(folded(question), question)
            field_name = f'{where}: field "{column}"'
            for judge, cell in _judged(cells, column, columns.columns.get("judge"), where):
                if settings.skip_empty and is_missing(cell) and text_of(cell) not in systems:
                    skipped["empty answers"] += 1
                    continue
                if is_empty(cell):
                    wanted = "a preference" if len(systems) > 1 else "a whole number"
                    raise UserError(
                        f"{field_name} is {shown(cell)}, not {wanted} (--skip-empty leaves empty answers out and "
                        "counts them)"
                    )
                yield Answer(field_name, cell, systems, replace(base, judge=judge, question=name))


def _judged(cells: Cells, column: str, judge: str | None, where: str) -> list[tuple[str, Any]]:
    """Return (judge, answer) of a cell: one, or one for each judge of a list."""
    cell = cells.get(column)
    judges = None if judge is None else cells.get(judge)
    if judge is not None and not isinstance(cell, list) and not isinstance(judges, list):
        return [(_text(cells, judge, where), cell)]
    if not isinstance(cell, list):
        raise UserError(f'{where}: field "{column}" is {shown(cell)}, not a list with an answer of each judge')
    if judge is None:
        return [(str(place), one) for place, one in enumerate(cell, 1)]
    names = [text_of(name) for name in judges] if isinstance(judges, list) else []
    if len(names) != len(cell) or not all(names):
        raise UserError(
            f'{where}: field "{column}" is a list of {len(cell)} answers, and field "{judge}" no list of as many judges'
        )
    return list(zip(map(str, names), cell, strict=True))


def _asked(cells: Cells, columns: ColumnMap, where: str) -> list[tuple[str, str]]:
    if columns.questions:
        return list(columns.questions.items())
    column = columns.columns.get("question")
    default = "preference" if "first" in columns.columns else "rating"
    name = default if column is None else _text(cells, column, where)
    return [(name, columns.columns["value"])]


def _with_optional(base: Judgment, cells: Cells, columns: ColumnMap, where: str) -> Judgment:
    side, seconds = columns.columns.get("shown_first"), columns.columns.get("seconds")
    if side is not None and not is_empty(cells.get(side)):
        name = _text(cells, side, where)
        if name not in base.systems:
            raise UserError(f'{where}: field "{side}" is {name!r}, none of the systems {", ".join(base.systems)}')
        base = replace(base, shown_first=name)
    if seconds is not None and not is_missing(cells.get(seconds)):
        number = number_of(cells[seconds])
        if number is None:
            raise UserError(f'{where}: field "{seconds}" is {cells[seconds]!r}, not a number of seconds')
        base = replace(base, seconds=number)
    return base


def _text(cells: Cells, column: str, where: str) -> str:
    value = cells.get(column)
    text = None if isinstance(value, bool) or is_empty(value) else text_of(value)
    if text is None:
        found = "empty (--skip-empty leaves such rows out)" if is_empty(value) else f"{value!r}, not text"
        raise UserError(f'{where}: field "{column}" is {found}')
    return text


def _own(judgments: list[Judgment], source: Content, settings: ImportSettings) -> Judgments:
    """Return the judgments of our own file, those of models apart."""
    if settings.columns.columns or settings.columns.questions or settings.values != ValueMap() or settings.skip_empty:
        raise UserError(f"{source.name} is a study's judgments.jsonl: --map, --values and --skip-empty are for others")
    sizes = {len(set(judgment.systems)) for judgment in judgments}
    if not sizes <= {1, 2} or any(len(set(j.systems)) < len(j.systems) for j in judgments):
        raise UserError(f"{source.name}: the systems of a judgment are one that is rated, or two different ones")
    if len(sizes) > 1:
        raise UserError(f"{source.name} mixes pairs and ratings")
    found = StudyKind.pairwise if sizes == {2} else StudyKind.likert
    if settings.kind not in (None, found):
        raise UserError(f"{source.name} holds judgments of kind {found}, not {settings.kind}")
    values = [judgment.value for judgment in judgments]
    scale = Scale(-1, 1) if found == StudyKind.pairwise else settings.scale or Scale(min(1, *values), max(5, *values))
    if settings.scale is not None and found == StudyKind.pairwise:
        raise UserError(
            f"{source.name} is a study's judgments.jsonl of pairs, whose values lie on no scale of --points"
        )
    for judgment in judgments:
        if not scale.holds(judgment.value):
            raise UserError(f"{source.name}: {judgment.item}: value {judgment.value} is not a whole number {scale}")
    if scale.highest - scale.lowest > MOST_POINTS:
        raise UserError(f"{source.name}: values {scale}: a scale may have {MOST_POINTS:,} points at most")
    models = frozenset(j.judge for j in judgments if j.judge.startswith("model:") or j.sides)
    return replace(_collected(judgments, found, _points(scale), source, []), models=models)


def _collected(
    judgments: list[Judgment],
    kind: StudyKind,
    points: tuple[tuple[int, str], ...],
    source: Content,
    reading: Sequence[str],
) -> Judgments:
    """Return the judgments with what is around them; `reading` are notes on how the file was read."""
    pairwise = kind == StudyKind.pairwise
    known = {question.name: question for question in (PAPER_QUESTIONS if pairwise else DSTC7_STATEMENTS)}
    names = list(dict.fromkeys(judgment.question for judgment in judgments))
    systems = tuple(dict.fromkeys(system for judgment in judgments for system in judgment.systems))
    return Judgments(
        kind=kind,
        systems=systems,
        pairs=tuple(dict.fromkeys(_pair(j) for j in judgments)) if pairwise else (),
        questions=tuple(
            Question(name, known[name].text if name in known else name, () if pairwise else points) for name in names
        ),
        rows=judgments,
        source=source.name,
        sha256=source.sha256,
        notes=(*_repeats(judgments), *_alike(systems), *reading),
    )


def _repeats(judgments: Sequence[Judgment]) -> list[str]:
    seen = Counter((judgment.judge, judgment.item, judgment.question) for judgment in judgments)
    count = len({key[:2] for key, times in seen.items() if times > 1})
    if not count:
        return []
    return [
        f"{count} {'item was' if count == 1 else 'items were'} judged more than once by the same judge; all these "
        "judgments are counted"
    ]


def _alike(systems: Sequence[str]) -> list[str]:
    """Return a note on systems whose names differ in letter case, spaces or underscores only."""
    spellings: dict[str, list[str]] = {}
    for system in systems:
        spellings.setdefault(folded(system), []).append(system)
    alike = [" and ".join(map(repr, found)) for found in spellings.values() if len(found) > 1]
    return [f"systems of nearly the same name are kept apart: {'; '.join(alike)}"] if alike else []


def _pair(judgment: Judgment) -> tuple[str, str]:
    first, second = judgment.systems
    return first, second


def settings_of(
    columns: str | None,
    kind: str | None,
    points: str | None,
    values: str | None = None,
    *,
    skip_empty: bool = False,
) -> ImportSettings:
    """Return the settings that ``--map``, ``--kind``, ``--points``, ``--values`` and ``--skip-empty`` stand for.

    Raises:
        UserError: the text of one of them is malformed.
    """
    return ImportSettings(
        ColumnMap.parse(columns) if columns else ColumnMap({}),
        StudyKind(kind) if kind else None,
        Scale.parse(points) if points else None,
        ValueMap.parse(values) if values else ValueMap(),
        skip_empty,
    )
