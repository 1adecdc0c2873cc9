"""One file of replies or of references as rows, its format told by its content; what can't be told is refused."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Generic, TypeVar, cast

from dialoeval.data.content import Content, content, decoded
from dialoeval.data.formats import TEXT, Cells, Format, TableRow, detect, parse_json, rows
from dialoeval.data.rows import HypothesisRow, ReferenceRow
from dialoeval.data.scoring_fields import CONTEXT, ID, REFERENCES, REPLY, FieldMap, all_known, is_header
from dialoeval.data.scoring_fields import context as context_fields
from dialoeval.data.scoring_fields import hypotheses as hypothesis_fields
from dialoeval.data.scoring_fields import references as reference_fields
from dialoeval.data.sources.dstc7 import SCORED, TURN_END, dialogue_turns, reference_text
from dialoeval.data.sources.reddit6k import scored_line
from dialoeval.errors import UserError

Row = TypeVar("Row", HypothesisRow, ReferenceRow)
_WEIGHTED = re.compile(r"[01]\.0 ")
_CSV_ID = re.compile(r'"?[\w.-]*\d[\w.-]*"?,|"[^"]*",')
_CONVERSATION_FIELDS = 7  # of the task's extraction: id, subreddit, conversation, score, turn, dialogue, response


class Layout(StrEnum):
    """How a file holds its texts."""

    lines = "lines"  # plain text: one text a line
    cells = "cells"  # cells of a table, padded with empty ones
    lists = "lists"  # lists of texts, and the paper's cells, whose positions count


@dataclass(frozen=True)
class ScoringFile(Generic[Row]):
    """The rows of one file.

    Attributes:
        content: its bytes.
        rows: without ids if it cannot be told from this file alone whether the first column holds ids.
        with_ids: in that case, the rows if it does; else None.
        layout: how the file holds texts.
        bad: the errors of rows that were skipped.
    """

    content: Content
    rows: list[Row]
    with_ids: list[Row] | None = None
    layout: Layout = Layout.lists
    bad: list[UserError] = field(default_factory=list)

    def decided(self, ids: bool, skip_bad: bool = False) -> ScoringFile[Row]:
        """Return the file with the first column taken for ids, or for texts.

        Raises:
            UserError: an id is empty; with `skip_bad` its row is left out.
        """
        if not ids or self.with_ids is None:
            return replace(self, with_ids=None)
        faults = [UserError(f"{row.where}: the first column, the id, is empty") for row in self.with_ids if not row.id]
        if faults and not skip_bad:
            raise faults[0]
        return replace(self, rows=[row for row in self.with_ids if row.id], with_ids=None, bad=self.bad + faults)


@dataclass(frozen=True)
class Side(Generic[Row]):
    """One side of the comparison: what its rows are made from.

    Attributes:
        what: in messages and in ``--map``.
        many: a row holds a list of texts.
        names: of the columns that hold its texts.
        mapped: places of its texts that the user named.
        parse: makes the rows of one parsed row.
        make: makes a row of (where, id, texts).
    """

    what: str
    many: bool
    names: Sequence[str]
    mapped: tuple[str, ...]
    parse: Callable[[Cells, str], list[Row]]
    make: Callable[[str, str | None, Sequence[str]], Row]
    fields: FieldMap


def hypothesis_side(fields: FieldMap) -> Side[HypothesisRow]:
    """Return the side of the replies."""
    mapped = () if fields.reply is None else (fields.reply,)

    def make(where: str, key: str | None, texts: Sequence[str]) -> HypothesisRow:
        return HypothesisRow(where, key, texts[0])

    return Side("reply", False, REPLY, mapped, lambda row, where: hypothesis_fields(row, where, fields), make, fields)


def reference_side(fields: FieldMap) -> Side[ReferenceRow]:
    """Return the side of the references."""

    def make(where: str, key: str | None, texts: Sequence[str]) -> ReferenceRow:
        return ReferenceRow(where, key, tuple(texts))

    mapped = fields.references
    return Side(
        "references", True, REFERENCES, mapped, lambda row, where: reference_fields(row, where, fields), make, fields
    )


def context_side(fields: FieldMap) -> Side[ReferenceRow]:
    """Return the side of contexts: the texts of a row are its turns, those of a line stand between ``EOS``."""

    def make(where: str, key: str | None, texts: Sequence[str]) -> ReferenceRow:
        return ReferenceRow(where, key, tuple(turn for text in texts for turn in dialogue_turns(text)))

    def parse(row: Cells, where: str) -> list[ReferenceRow]:
        return [ReferenceRow(where, *context_fields(row, where, fields))]

    mapped = () if fields.context is None else (fields.context,)
    return Side("context", True, CONTEXT, mapped, parse, make, fields)


def read_file(path: str, side: Side[Row], skip_bad: bool = False) -> ScoringFile[Row]:
    """Read a file whose format is told by its content.

    Args:
        path: the file, a pipe or ``-``.
        side: what the file holds.
        skip_bad: collect the errors of malformed rows, and leave these rows out.

    Raises:
        UserError: the file cannot be read or told, or a row is malformed (naming file, line and field).
    """
    source = content(path)
    form = detect(source)
    bad: list[UserError] = []
    if form == Format.text and not side.mapped and _is_named_csv(source):
        form = Format.csv
    if form == Format.text:
        return ScoringFile(source, _plain(source, side), layout=Layout.lines)
    if form in (Format.csv, Format.tsv):
        lines = _good(rows(source, form, names=False), bad, skip_bad)
        found = None if side.mapped or form == Format.csv or side.names is CONTEXT else _papers(source, lines, side)
        found = found or _table(source, lines, side, bad if skip_bad else None)
        return replace(found, bad=bad + found.bad)
    document = None if side.mapped or form == Format.parquet else _document(source, form)
    if document is not None:
        made = [row for where, key, value in document for row in _of_value(where, key, value, side)]
        return ScoringFile(source, made, _list_ids(made))
    single = _one_row(source) if form == Format.json else None
    table = _good(rows(source, form), bad, skip_bad) if single is None else [(f"{source.name}, item 1", single)]
    found_rows = [
        row
        for where, cells in table
        for row in _parsed(lambda c, w: _of_cells(c, w, side), cells, where, bad if skip_bad else None)
    ]
    return ScoringFile(source, found_rows, None if side.mapped else _list_ids(found_rows), bad=bad)


def _list_ids(made: list[Row]) -> list[Row] | None:
    """Return the rows that lists of references stand for if their first items are ids, as in a table."""
    lists = [row for row in made if isinstance(row, ReferenceRow) and row.id is None and len(row.references) > 1]
    if not made or len(lists) < len(made):
        return None
    return cast("list[Row]", [ReferenceRow(row.where, row.references[0], row.references[1:]) for row in lists])


def _good(table: Iterator[TableRow], bad: list[UserError], skip_bad: bool) -> list[tuple[str, Cells]]:
    """Return (where, cells) of the rows that can be read."""
    good = []
    for row in table:
        if not isinstance(row.value, UserError):
            good.append((row.where, row.value))
            continue
        bad.append(UserError(f"{row.where}: {row.value}"))
        if not skip_bad:
            raise bad[-1]
    return good


def _parsed(
    parse: Callable[[Cells, str], list[Row]], cells: Cells, where: str, bad: list[UserError] | None
) -> list[Row]:
    try:
        return parse(cells, where)
    except UserError as error:
        if bad is None:
            raise
        bad.append(error)
        return []


def _of_cells(cells: Cells, where: str, side: Side[Row]) -> list[Row]:
    """Return the rows of an object, or of a list of texts."""
    if not side.mapped and cells and all(isinstance(key, int) for key in cells):
        return _of_value(where, None, list(cells.values()), side)
    return side.parse(cells, where)


def _of_value(where: str, key: str | None, value: Any, side: Side[Row]) -> list[Row]:
    """Return the rows of a text or of a list of texts: several samples of a reply, or references."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise UserError(f"{where}: expected a JSON object, found {type(value).__name__} (no text or list of texts)")
    if side.many:
        return [side.make(where, key, texts)]
    if not texts:
        raise UserError(f"{where}: the list of replies is empty")
    return [side.make(where, key, [text]) for text in texts]


def _document(source: Content, form: Format) -> list[tuple[str, str | None, Any]] | None:
    """Return (where, id, text or texts) of an array of texts or lists, or of an object of them; None for others."""
    if form == Format.jsonl and sum(bool(line.strip()) for line in source.head.split(b"\n")[:3]) > 1:
        return None
    try:
        value = parse_json(decoded(source.read(), source.name))
    except UserError:
        return None  # the reader of rows names the place
    if isinstance(value, list) and value and all(isinstance(item, str | list) for item in value):
        return [(f"{source.name}, item {number}", None, item) for number, item in enumerate(value, 1)]
    if not isinstance(value, dict) or not value or not all(isinstance(item, str | list) for item in value.values()):
        return None
    if any(all_known([key]) for key in value) or source.suffix in (".jsonl", ".ndjson"):  # one row, or columns
        return None
    if any(not isinstance(text, str) for item in value.values() if isinstance(item, list) for text in item):
        return None
    return [(f"{source.name}, key {ascii(key)[:60]}", key, item) for key, item in value.items()]


def _one_row(source: Content) -> Cells | None:
    """Return the object that a document is if that is one row: it has a text, and is no object of columns."""
    try:
        value = parse_json(decoded(source.read(), source.name))
    except UserError:
        return None
    if not isinstance(value, dict) or all(isinstance(item, list) for item in value.values()):
        return None
    return value if any(all_known([key]) and key.lower() not in ID for key in value) else None


def _is_named_csv(source: Content) -> bool:
    """Return whether the first line holds names of fields between commas."""
    try:
        cells = next(csv.reader([source.head.split(b"\n", 1)[0].decode("utf-8").strip()], strict=True), [])
    except (UnicodeDecodeError, csv.Error):
        return False
    return len(cells) > 1 and all_known(cells)


def _plain(source: Content, side: Side[Row]) -> list[Row]:
    """Return a row for each line of plain text.

    Raises:
        UserError: most lines look like another format; ``--map reply=0`` takes them as they are.
    """
    lines = [(row.where, row.value) for row in rows(source, Format.text)]
    made = []
    for where, value in lines:
        if isinstance(value, UserError):
            raise UserError(f"{where}: {value}")
        made.append((where, str(value[TEXT])))
    if side.mapped and side.mapped != ("0",):
        raise UserError(f"{source.name} is plain text: it has no field {side.mapped[0]!r} (--map {side.what}=0: lines)")
    if not side.mapped and made and (found := _looks_like([text for _, text in made])):
        raise UserError(
            f"{source.name} looks like {found}, not like plain text: use a file of its own format (JSON lines, CSV or "
            f"TSV), or take every line as it is with --map {side.what}=0"
        )
    return [side.make(where, None, [text]) for where, text in made]


def _looks_like(lines: Sequence[str]) -> str | None:
    """Return what lines of text look like if it is not text."""
    shapes: dict[str, Callable[[str], object]] = {
        "lines of JSON": _is_json,
        "references with scores (0.3|text)": SCORED.match,
        "turns with weights (1.0 text)": _WEIGHTED.match,
        "a table of tab-separated columns": lambda line: "\t" in line,
        "a table of comma-separated columns": _CSV_ID.match,
    }
    counts = {name: sum(map(bool, map(test, lines))) for name, test in shapes.items()}
    return next((name for name, count in counts.items() if count and 2 * count >= len(lines)), None)


def _is_json(line: str) -> bool:
    if not line.lstrip().startswith(("{", "[", '"')):
        return False
    try:
        return isinstance(parse_json(line), dict | list | str)
    except UserError:
        return False


def _papers(source: Content, lines: list[tuple[str, Cells]], side: Side[Row]) -> ScoringFile[Row] | None:
    """Return the rows of one of the paper's own formats, or None if the table is none of these."""
    table = [(where, [str(cell) for cell in cells.values()]) for where, cells in lines]
    if not table:
        return None
    if all(len(cells) == _CONVERSATION_FIELDS and not SCORED.match(cells[6]) for _, cells in table) and any(
        TURN_END in cells[5] or cells[5].startswith("START") for _, cells in table
    ):
        if side.many:
            raise UserError(f"{source.name} holds one system's replies (seven fields a line): give test.refs.txt")
        return ScoringFile(source, cast("list[Row]", [_conversation(*line) for line in table]))
    dialogues = any(" " in cells[0].strip() for _, cells in table)
    columns = slice(1, -1) if dialogues and any(len(cells) > 2 for _, cells in table) else slice(1, None)
    cells = [cell for _, row in table for cell in row[columns] if cell]
    # as in the scripts, a cell without a score is a text too
    if not cells or 2 * sum(map(bool, map(SCORED.match, cells))) < len(cells):
        return None
    if short := next((where for where, row in table if len(row) < 2), None):
        raise UserError(f"{short}: no references, where other lines have them with scores (0.3|text)")
    if dialogues:
        return ScoringFile(source, cast("list[Row]", [_reddit(where, cells, side) for where, cells in table]))
    if not side.many:
        raise UserError(f"{source.name} holds scored references (id, 0.3|text...), not replies")
    made = [side.make(where, key.strip(), [reference_text(cell) for cell in cells]) for where, (key, *cells) in table]
    if absent := next((row.where for row in made if not row.id), None):
        raise UserError(f"{absent}: the first column, the id, is empty")
    return ScoringFile(source, made)


def _conversation(where: str, cells: list[str]) -> HypothesisRow:
    return HypothesisRow(where, cells[0].strip(), cells[6], None, dialogue_turns(cells[5]))


def _reddit(where: str, cells: list[str], side: Side[Row]) -> HypothesisRow | ReferenceRow:
    """Return a line of the 6K Reddit file: its id is the line number, its last column the human reply."""
    line, key = scored_line(cells[1:], where), where.rsplit(" ", 1)[-1]
    if side.many:
        return ReferenceRow(where, key, line.references, line.human)
    return side.make(where, key, [line.human])


def _table(
    source: Content, lines: list[tuple[str, Cells]], side: Side[Row], bad: list[UserError] | None
) -> ScoringFile[Row]:
    """Return the rows of a table of cells, with or without a line of names, with or without ids."""
    table = [(where, [str(cell) for cell in cells.values()]) for where, cells in lines]
    fields: FieldMap = side.fields
    mapped = (*side.mapped, *(name for name in (fields.id, fields.context) if name))
    if table and is_header(table[0][1], side.names, [name for name in mapped if not name.isdigit()]):
        names = [name.strip() for name in table[0][1]]
        parse = _named(names, side, {int(place) for place in mapped if place.isdecimal() and place not in names})
        made = [row for where, cells in table[1:] for row in _parsed(parse, dict(enumerate(cells)), where, bad)]
        return ScoringFile(source, made, layout=Layout.cells)
    if side.mapped:
        made = [row for where, cells in table for row in _parsed(side.parse, dict(enumerate_text(cells)), where, bad)]
        return ScoringFile(source, made, layout=Layout.cells)
    widths = {len(cells) for _, cells in table}
    if fields.id == "0" and (side.many or widths == {2}):
        return ScoringFile(source, [], _with_ids(table, side), Layout.cells).decided(True, bad is not None)
    if widths <= {1}:
        return ScoringFile(source, [side.make(where, None, cells) for where, cells in table], layout=Layout.cells)
    if not side.many and widths != {2}:
        shown = ", ".join(cell[:20] for cell in table[0][1][:10])
        raise UserError(
            f"{source.name}: which of the columns is the reply? (the first line is: {shown}); say it with positions "
            "from 0, such as --map id=0,reply=2"
        )
    plain = [side.make(where, None, cells) for where, cells in table] if side.many else []
    return ScoringFile(source, plain, _with_ids(table, side), Layout.cells)


def enumerate_text(cells: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield (position, cell), the positions as text, as ``--map`` names them."""
    return ((str(position), cell) for position, cell in enumerate(cells))


def _named(names: list[str], side: Side[Row], positions: set[int]) -> Callable[[Cells, str], list[Row]]:
    """Return a parser of cells under names; cells that the user named by position have that as a further name."""

    def parse(cells: Cells, where: str) -> list[Row]:
        if len(cells) != len(names):
            raise UserError(f"{where}: {len(cells)} fields under {len(names)} column names")
        by_position = {str(position): cells[position] for position in positions if position < len(cells)}
        return side.parse(dict(zip(names, cells.values(), strict=True)) | by_position, where)

    return parse


def _with_ids(table: list[tuple[str, list[str]]], side: Side[Row]) -> list[Row]:
    """Return the rows with the first column as the id."""
    return [side.make(where, cells[0], cells[1:]) for where, cells in table]
