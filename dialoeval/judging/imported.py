"""Judgments from a file: the public ratings of DSTC7, a table with columns of its own, or our own judgments.jsonl."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dialoeval.data.content import Content, content
from dialoeval.data.formats import Cells, Format, detect, rows
from dialoeval.errors import UserError, nearest
from dialoeval.judging.column_map import ColumnMap
from dialoeval.judging.judgments import DSTC7_STATEMENTS, PAPER_QUESTIONS, Judgment, Judgments, Question, StudyKind

FIRST = ("1", "+1", "first", "a", "win")
TIE = ("0", "same", "tie", "equal", "neither", "both")
SECOND = ("-1", "second", "b", "loss", "lose")
_OWN = {"item", "context", "systems", "judge", "question", "value"}  # fields of our own judgments.jsonl


@dataclass(frozen=True)
class ImportSettings:
    """How a file of judgments is read.

    Attributes:
        columns: named by the user.
        kind: of the judgments; None: pairs if there are columns for a first and a second system.
        lowest: point of ratings.
        highest: point of ratings.
    """

    columns: ColumnMap = field(default_factory=lambda: ColumnMap({}))
    kind: StudyKind | None = None
    lowest: int = 1
    highest: int = 5


def read_judgments_file(path: str, settings: ImportSettings | None = None) -> Judgments:
    """Read judgments from CSV, TSV, JSON lines or Parquet, its format told by its content.

    A judge may have judged an item twice: both judgments are kept, and the notes count them.

    Raises:
        UserError: the file cannot be read, a column is missing, or a value is none that a judge can give; the message
            names file, line and field.
    """
    settings = settings or ImportSettings()
    source = content(path)
    form = detect(source)
    if form == Format.text:
        raise UserError(f"{path}: neither JSON lines nor a table with columns (CSV, TSV or Parquet)")
    table = list(_readable(source, form))
    if not table:
        raise UserError(f"{path} holds no judgments")
    if set(table[0][1]) >= _OWN:
        return _own([Judgment.from_json(cells, where) for where, cells in table], source, settings.kind)
    columns = settings.columns.completed([str(name) for name in table[0][1]], path)
    kind = settings.kind or _kind(columns)
    if (kind == StudyKind.pairwise) != ("first" in columns.columns and "second" in columns.columns):
        raise UserError(
            f"{path}: kind {kind} needs columns {'first and second' if kind == StudyKind.pairwise else 'system'}, and "
            f"no {'system' if kind == StudyKind.pairwise else 'first and second'} (name them with --map)"
        )
    judgments = list(_judgments(table, columns, replace(settings, kind=kind)))
    return _collected(judgments, kind, _points(settings), source)


def _readable(source: Content, form: Format) -> Iterator[tuple[str, Cells]]:
    for row in rows(source, form):
        if isinstance(row.value, UserError):
            raise UserError(f"{row.where}: {row.value}")
        yield row.where, row.value


def _kind(columns: ColumnMap) -> StudyKind:
    return StudyKind.pairwise if {"first", "second"} <= columns.columns.keys() else StudyKind.likert


def _points(settings: ImportSettings) -> tuple[tuple[int, str], ...]:
    if (settings.lowest, settings.highest) == (1, 5):
        return DSTC7_STATEMENTS[0].points
    return tuple((point, str(point)) for point in range(settings.lowest, settings.highest + 1))


def _judgments(table: Sequence[tuple[str, Cells]], columns: ColumnMap, settings: ImportSettings) -> Iterator[Judgment]:
    """Yield a judgment for each question of a wide row, or one for a long row."""
    order: dict[str, int] = {}
    for where, cells in table:
        context, judge = (_text(cells, columns.columns[name], where) for name in ("context", "judge"))
        names = ("first", "second") if settings.kind == StudyKind.pairwise else ("system",)
        systems = tuple(_text(cells, columns.columns[name], where) for name in names)
        if len(set(systems)) < len(systems):
            raise UserError(f"{where}: both systems are {systems[0]!r}")
        for system in systems:
            order.setdefault(system, len(order))
        ordered = tuple(sorted(systems, key=order.__getitem__))
        base = Judgment(
            item=" / ".join((context, *ordered)), context=context, systems=ordered, judge=judge, question="", value=0
        )
        base = _with_optional(base, cells, columns, where)
        for question, column in _asked(cells, columns, where):
            if settings.kind == StudyKind.pairwise:
                value = _preference(cells, column, systems, where) * (1 if ordered == systems else -1)
            else:
                value = _rating(cells, column, settings, where)
            yield replace(base, question=question, value=value)


def _asked(cells: Cells, columns: ColumnMap, where: str) -> list[tuple[str, str]]:
    if columns.questions:
        return list(columns.questions.items())
    column = columns.columns.get("question")
    name = "preference" if column is None else _text(cells, column, where)
    return [(name, columns.columns["value"])]


def _with_optional(base: Judgment, cells: Cells, columns: ColumnMap, where: str) -> Judgment:
    shown, seconds = columns.columns.get("shown_first"), columns.columns.get("seconds")
    if shown is not None and cells.get(shown) not in (None, ""):
        name = _text(cells, shown, where)
        if name not in base.systems:
            raise UserError(f'{where}: field "{shown}" is {name!r}, none of the systems {", ".join(base.systems)}')
        base = replace(base, shown_first=name)
    if seconds is not None and cells.get(seconds) not in (None, ""):
        try:
            base = replace(base, seconds=float(cells[seconds]))
        except (TypeError, ValueError) as error:
            raise UserError(f'{where}: field "{seconds}" is {cells[seconds]!r}, not a number of seconds') from error
    return base


def _text(cells: Cells, column: str, where: str) -> str:
    value = cells.get(column)
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        found = "empty" if value in (None, "") or isinstance(value, str) else f"{value!r}, not text"
        raise UserError(f'{where}: field "{column}" is {found}')
    return str(value).strip()


def _rating(cells: Cells, column: str, settings: ImportSettings, where: str) -> int:
    value = cells.get(column)
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    except ValueError:
        number = None
    if number is None or not settings.lowest <= number <= settings.highest or number != int(number):
        shown = "empty" if value in (None, "") else repr(value)
        raise UserError(
            f'{where}: field "{column}" is {shown}, not a whole number from {settings.lowest} to {settings.highest}'
        )
    return int(number)


def _preference(cells: Cells, column: str, systems: tuple[str, ...], where: str) -> int:
    """Return 1 for the first system of the row, -1 for the second, 0 for a tie."""
    text = _text(cells, column, where)
    if text in systems:
        return 1 if text == systems[0] else -1
    for value, words in ((1, FIRST), (0, TIE), (-1, SECOND)):
        if text.lower() in words:
            return value
    raise UserError(
        f'{where}: field "{column}" is {text!r}, not a preference (first, same or second; a, tie or b; 1, 0 or -1; or '
        f"a system's name: {', '.join(systems)})"
    )


def _own(judgments: list[Judgment], source: Content, kind: StudyKind | None) -> Judgments:
    pairs = {len(judgment.systems) == 2 for judgment in judgments}
    if len(pairs) > 1:
        raise UserError(f"{source.name} mixes pairs and ratings")
    found = StudyKind.pairwise if pairs.pop() else StudyKind.likert
    if kind not in (None, found):
        raise UserError(f"{source.name} holds judgments of kind {found}, not {kind}")
    values = [judgment.value for judgment in judgments]
    points = () if found == StudyKind.pairwise else _points(ImportSettings(lowest=min(1, *values), highest=max(values)))
    if found == StudyKind.likert and max(values) < 5 and min(values) >= 1:
        points = DSTC7_STATEMENTS[0].points
    return _collected(judgments, found, points, source)


def _collected(
    judgments: list[Judgment], kind: StudyKind, points: tuple[tuple[int, str], ...], source: Content
) -> Judgments:
    known = {question.name: question for question in (PAPER_QUESTIONS if points == () else DSTC7_STATEMENTS)}
    names = list(dict.fromkeys(judgment.question for judgment in judgments))
    points = points if kind == StudyKind.likert else ()
    questions = tuple(Question(name, known[name].text if name in known else name, points) for name in names)
    seen: dict[tuple[str, str, str], int] = {}
    for judgment in judgments:
        key = judgment.judge, judgment.item, judgment.question
        seen[key] = seen.get(key, 0) + 1
    twice = {key[:2] for key, count in seen.items() if count > 1}
    notes: tuple[str, ...] = ()
    if twice:
        count = len(twice)
        notes = (
            f"{count} {'item was' if count == 1 else 'items were'} judged more than once by the same judge; all these "
            "judgments are counted",
        )
    return Judgments(
        kind=kind,
        systems=tuple(dict.fromkeys(system for judgment in judgments for system in judgment.systems)),
        pairs=tuple(dict.fromkeys(_pair(j) for j in judgments)) if kind == StudyKind.pairwise else (),
        questions=questions,
        rows=judgments,
        source=source.name,
        sha256=source.sha256,
        notes=notes,
    )


def _pair(judgment: Judgment) -> tuple[str, str]:
    first, second = judgment.systems
    return first, second


def parse_pools(texts: Sequence[str], systems: Sequence[str]) -> dict[str, str]:
    """Return {system: name of its pool} of entries such as ``TeamCE+TeamEC=Team C/E``.

    Raises:
        UserError: an entry is malformed, names an unknown system, or names a system twice.
    """
    pools: dict[str, str] = {}
    for text in texts:
        names, equals, pool = text.partition("=")
        members = [name.strip() for name in names.split("+")]
        if not equals or not pool.strip() or not all(members):
            raise UserError(f"--pool {text}: expected SYSTEM+SYSTEM=NAME, such as TeamCE+TeamEC=Team C/E")
        for name in members:
            if name not in systems:
                raise UserError(f"--pool {text}: no system {name!r}{nearest(name, systems)} ({', '.join(systems)})")
            if name in pools:
                raise UserError(f"--pool {text}: {name} is in two pools")
            pools[name] = pool.strip()
    return pools


def pooled(judgments: Judgments, pools: Mapping[str, str]) -> Judgments:
    """Return the ratings with the systems of each pool under one name: a context then has more judgments of it.

    Raises:
        UserError: the judgments are of pairs, which a pool would compare with itself.
    """
    if not pools:
        return judgments
    if judgments.kind == StudyKind.pairwise:
        raise UserError("--pool is for ratings: a pair of two systems of one pool would compare it with itself")
    changed: list[Judgment] = []
    for row in judgments.rows:
        name = pools.get(row.systems[0])
        changed.append(row if name is None else replace(row, systems=(name,)))
    systems = tuple(dict.fromkeys(pools.get(system, system) for system in judgments.systems))
    notes = tuple(
        f"{pool} pools {' and '.join(system for system, to in pools.items() if to == pool)}, context by context"
        for pool in dict.fromkeys(pools.values())
    )
    return replace(judgments, systems=systems, rows=changed, notes=(*judgments.notes, *notes))


def settings_of(columns: str | None, kind: str | None, points: str | None) -> ImportSettings:
    """Return the settings that ``--map``, ``--kind`` and ``--points`` (such as ``1-5``) stand for.

    Raises:
        UserError: the text of one of them is malformed.
    """
    values: dict[str, Any] = {"kind": StudyKind(kind) if kind else None}
    if columns:
        values["columns"] = ColumnMap.parse(columns)
    if points:
        low, dash, high = points.partition("-")
        if not dash or not low.isdecimal() or not high.isdecimal() or int(low) >= int(high):
            raise UserError(f"--points {points}: expected LOWEST-HIGHEST, such as 1-5")
        values |= {"lowest": int(low), "highest": int(high)}
    return ImportSettings(**values)
