"""Examples and dialogues from the rows of any table, by a column mapping that is given or told by the columns."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from dialoeval.config.schema import ColumnsConfig, DatasetConfig
from dialoeval.data import shapes
from dialoeval.data.conversations import SYSTEM, TOOLS, USERS, Conversation, Reader, kind
from dialoeval.data.example import Dataset, Example, Reading, fingerprint
from dialoeval.data.formats import Cells, TableRow, peek
from dialoeval.errors import UserError, nearest

ADVICE = " (dataset.skip_bad=true skips such rows and counts them)"
SHOWN = 10  # columns named in a message
_REFERENCES = ("references", "reference")
_CHOOSING = ("context", "turns", "group", "text")  # settings that choose where the turns are

_logger = logging.getLogger(__name__)


class MissingColumn(UserError):
    """A column of the mapping that a row does not have; never skipped if every row lacks it."""

    def __init__(self, column: Any, message: str) -> None:
        super().__init__(message)
        self.column = str(column)


@dataclass(frozen=True)
class Table:
    """The rows of a table under a mapping.

    Attributes:
        rows: all rows.
        mapping: the columns that are read.
        reading: how the table is read, without counts.
    """

    rows: Iterator[TableRow]
    mapping: ColumnsConfig
    reading: Reading


def dataset(config: DatasetConfig, rows: Iterable[TableRow], form: str = "") -> Dataset:
    """Return a dataset of the first `config.limit` examples; no further rows are read, except in grouping.

    Raises:
        UserError: a bad row (naming file, line and field) or a duplicate id, unless `skip_bad` is set, which records
            these rows instead; the table lacks a column of the mapping; or no mapping is given and none can be told.
    """
    skipped: list[tuple[str, str]] = []
    table = _table(config, rows, form)
    reader = Reader(table.mapping)
    found = gather(config, _examples(config, table, reader, skipped), skipped)
    return replace(found, reading=replace(table.reading, counts=dict(reader.counts)))


def gather(config: DatasetConfig, examples: Iterable[tuple[str, Example]], skipped: list[tuple[str, str]]) -> Dataset:
    """Return a dataset of the first `config.limit` examples of ``(where, example)`` pairs.

    Raises:
        UserError: an id occurs twice (with `skip_bad` the second row is added to `skipped` instead).
    """
    unique: list[Example] = []
    first_where: dict[str, str] = {}
    for where, example in examples:
        if example.id in first_where:
            message = f"duplicate id {example.id!r} (first at {first_where[example.id]}); ids must be unique"
            if not config.skip_bad:
                raise UserError(f"{where}: {message}{ADVICE}")
            skipped.append((where, message))
            continue
        first_where[example.id] = where
        unique.append(last_turns(example, config.context_turns))
        if len(unique) == config.limit:
            break
    return Dataset(config.name, tuple(unique), fingerprint(unique), tuple(skipped))


def gather_counted(
    config: DatasetConfig,
    form: str,
    examples: Callable[[DatasetConfig, Counter[str], list[tuple[str, str]]], Iterator[tuple[str, Example]]],
) -> Dataset:
    """Return the dataset of a format of its own, with what its reader counted.

    Args:
        config: of the dataset.
        form: name of the format.
        examples: yields ``(where, example)`` pairs, and adds to the counts and the skipped rows that it is given.

    Raises:
        UserError: as `gather` and `examples`.
    """
    skipped: list[tuple[str, str]] = []
    counts: Counter[str] = Counter()
    found = gather(config, examples(config, counts, skipped), skipped)
    return replace(found, reading=Reading(form, counts=dict(counts)))


def dialogues(config: DatasetConfig, rows: Iterable[TableRow]) -> Iterator[tuple[str, ...]]:
    """Yield the dialogues to train on: the turns of each conversation, or its context with each of its references.

    Without a `references` column, the context is the dialogue. `config.limit` counts rows.

    Raises:
        UserError: as `dataset`; with `skip_bad` the number of bad rows is logged instead.
    """
    table = _table(config, rows, "")
    reader = Reader(table.mapping)
    skipped: list[tuple[str, str]] = []
    used = 0
    for row in _grouped(config, table, skipped):
        if used == config.limit:
            break
        try:
            value = _value(row)
            if not _used(value, table.mapping):
                continue
            if _is_conversation(table.mapping):
                found = [tuple(turn.text for turn in _conversation(value, reader).turns)]
            else:
                context, references, _ = _context_and_references(value, reader)
                found = [(*context, reference) for reference in references] or [context]
        except UserError as error:
            _refuse_or_skip(config, table.reading.columns, row, error, skipped)
            continue
        yield from found
        used += 1
    if skipped:
        where, why = skipped[0]
        _logger.warning("%s: %d bad rows skipped; the first: %s: %s", config.name, len(skipped), where, why)


def _table(config: DatasetConfig, rows: Iterable[TableRow], form: str) -> Table:
    first, rows = peek(iter(rows))
    values = [row.value for row in first if not isinstance(row.value, UserError)]
    names = list(dict.fromkeys(str(name) for value in values for name in value))
    known = [*names, *dict.fromkeys(name for value in values for name in _nested(value))]
    given = config.columns
    chosen = any(getattr(given, name) is not None for name in _CHOOSING)
    told = ColumnsConfig()
    if config.shape is not None and values and not chosen:
        shaped = shapes.named(config.shape, known)
        if shaped is None:
            raise UserError(
                f"{first[0].where}: these are not the columns of {config.shape}: {shown(names)}{_advice(known)}"
            )
        told = shaped
    elif not chosen and values:
        found = shapes.guess(known)
        if found is None:
            raise UserError(
                f"{first[0].where}: cannot tell which column holds the context (the columns are: {shown(names)}); set "
                f"dataset.columns.context, or dataset.columns.turns for whole conversations{_advice(known)}"
            )
        told = found
    mapping = _merged(told, given)
    if mapping.references is None and not _is_conversation(mapping):
        # a row without the references that other rows have is an error
        mapping = replace(mapping, references=next((name for name in _REFERENCES if name in names), None))
    if not chosen and mapping.system is None and "system" in names:
        mapping = replace(mapping, system="system")
    used = set(re.findall(r"[\w ]+", " ".join(shapes.settings(mapping)))) | {"id"}
    unread = tuple(name for name in names if name not in used) if not chosen else ()
    guessed = not chosen and config.shape is None and told not in (ColumnsConfig(), ColumnsConfig(context="context"))
    reading = Reading(form, tuple(names), shapes.settings(mapping), guessed, unread=unread)
    if guessed:
        _logger.info("%s: read with %s, told by its columns", config.name, " ".join(reading.settings))
    return Table(rows, mapping, reading)


def shown(names: Sequence[str], most: int = SHOWN) -> str:
    """Return the first names of a list, each cut to a reasonable length, and how many follow."""
    listed = ", ".join(name if len(name) <= 40 else f"{name[:40]}..." for name in map(str, names[:most]))
    return listed + (f" and {len(names) - most} more" if len(names) > most else "")


def _advice(names: Sequence[str]) -> str:
    preset = shapes.lookalike(names)
    return f"; it looks like dataset={preset}" if preset else ""


def _nested(value: Cells) -> Iterator[str]:
    for name, cell in value.items():
        first = cell[0] if isinstance(cell, list) and cell else None
        if isinstance(first, Mapping):
            yield from (f"{name}.{key}" for key in first)


def _merged(told: ColumnsConfig, given: ColumnsConfig) -> ColumnsConfig:
    default = ColumnsConfig()
    own = {f.name: getattr(given, f.name) for f in fields(given) if getattr(given, f.name) != getattr(default, f.name)}
    return replace(told, **own)


def _examples(
    config: DatasetConfig, table: Table, reader: Reader, skipped: list[tuple[str, str]]
) -> Iterator[tuple[str, Example]]:
    columns = table.mapping
    for row in _grouped(config, table, skipped):
        try:
            value = _value(row)
            if not _used(value, columns):
                reader.counts["rows left out by dataset.columns.where"] += 1
                continue
            name = _identifier(value, columns, row.number)
            if _is_conversation(columns):
                examples = list(reader.examples(_conversation(value, reader), name))
            else:
                context, references, system = _context_and_references(value, reader)
                examples = [Example(name, context, references, system)]
        except UserError as error:
            _refuse_or_skip(config, table.reading.columns, row, error, skipped)
            continue
        for example in examples:
            yield row.where, example


def last_turns(example: Example, count: int) -> Example:
    """Return the example with only the last `count` turns of its context, or all of them if `count` is 0."""
    if not count:
        return example
    return replace(example, context=example.context[-count:], speakers=example.speakers[-count - 1 :])


_ROWS = "rows of the conversation"  # the column of a grouped row that holds its utterances; no file has this name


def _grouped(config: DatasetConfig, table: Table, skipped: list[tuple[str, str]]) -> Iterator[TableRow]:
    """Yield the rows; or with `group`, one row a conversation, whose utterances are the rows of the table."""
    columns = table.mapping
    if columns.group is None:
        yield from table.rows
        return
    groups: dict[str, list[tuple[TableRow, Cells]]] = {}
    for row in table.rows:
        try:
            value = _value(row)
            groups.setdefault(str(_get(value, columns.group)), []).append((row, value))
        except UserError as error:  # without it, its conversation would be another one
            raise UserError(f"{row.where}: {error} (a conversation cannot be read without one of its rows)") from error
    for name, rows in groups.items():
        if columns.order is not None and all(_get(value, columns.order) is None for _, value in rows):
            rows = _parents_first(rows, columns.order)
        elif columns.order is not None:
            rows.sort(key=lambda pair: _order(_get(pair[1], columns.order)))
        first = rows[0][0]
        yield TableRow(first.where, first.number, {"id": name, _ROWS: [value for _, value in rows]})


def _parents_first(rows: list[tuple[TableRow, Cells]], order: Any) -> list[tuple[TableRow, Cells]]:
    """Return the rows of a conversation in the order of their replies, since no value orders them.

    Raises:
        UserError: the rows do not say which row each replies to, or several reply to one.
    """
    parent = next((name for name in ("reply-to", "reply_to", "parent_id") if name in rows[0][1]), None)
    by_parent = {} if parent is None else {row[1].get(parent): row for row in rows}
    ordered: list[tuple[TableRow, Cells]] = []
    key: Any = None
    while key in by_parent and len(ordered) < len(rows):
        ordered.append(by_parent[key])
        key = ordered[-1][1].get("id")
    if len(ordered) < len(rows):
        raise UserError(
            f"{rows[0][0].where}: field {order!r} orders no row of this conversation, and the rows do not reply to "
            "each other in turn; set dataset.columns.order"
        )
    return ordered


def _order(value: Any) -> tuple[int, float, str]:
    try:
        return 0, float(value), ""
    except (TypeError, ValueError):
        return 1, 0.0, str(value)


def _used(value: Cells, columns: ColumnsConfig) -> bool:
    """Return whether a row has the values of `where`."""
    for name, expected in columns.where.items():
        options = expected if isinstance(expected, list) else [expected]
        if str(_get(value, name)) not in map(str, options):
            return False
    return True


def _is_conversation(columns: ColumnsConfig) -> bool:
    return columns.turns is not None or columns.group is not None


def _conversation(value: Cells, reader: Reader) -> Conversation:
    columns = reader.columns
    if columns.group is not None:
        return reader.conversation(value[_ROWS], "utterance")
    turns = columns.turns
    parent, _, leaf = turns.rpartition(".") if isinstance(turns, str) and turns not in value else ("", "", "")
    if parent and isinstance(values := _get(value, parent), list) and all(isinstance(v, Mapping) for v in values):
        reader = Reader(replace(columns, turns=parent, text=columns.text or leaf), reader.counts)
        _get(value, turns)  # names an entry without the field
        return _with_system(reader.conversation(values, parent), value, columns)
    return _with_system(reader.conversation(_raw_turns(value, turns, columns), _names(turns)), value, columns)


def _with_system(conversation: Conversation, value: Cells, columns: ColumnsConfig) -> Conversation:
    return replace(conversation, system=conversation.system or _system(value, columns))


def _system(value: Cells, columns: ColumnsConfig) -> str | None:
    text = None if columns.system is None else _get(value, columns.system)
    if isinstance(text, list) and all(isinstance(item, str) for item in text):
        text = "\n".join(text)
    if text is not None and not isinstance(text, str):
        raise UserError(f"field {columns.system!r}: expected a text, found {kind(text)}")
    return text or None


def _raw_turns(value: Cells, column: Any, columns: ColumnsConfig) -> list[Any]:
    """Return the turns of one column or of several: texts and lists in their order, lists alone interleaved."""
    if not isinstance(column, list):
        return _split(_get(value, column), column, columns)
    if any(isinstance(name, list) for name in column):
        return [turn for name in column for turn in _raw_turns(value, name, columns)]
    cells = [(name, cell) for name in column if (cell := _get(value, name)) not in (None, "", [])]
    if len(cells) > 1 and all(isinstance(cell, list) for _, cell in cells):
        return _interleaved([cell for _, cell in cells], _names(column))
    turns = [turn for name, cell in cells for turn in _split(cell, name, columns)]
    if not turns:
        raise UserError(f"field {_names(column)}: all columns are empty")
    return turns


def _interleaved(lists: Sequence[list[Any]], name: str) -> list[Any]:
    lengths = [len(items) for items in lists]
    if max(lengths) - min(lengths) > 1 or sorted(lengths, reverse=True) != lengths:
        raise UserError(
            f"field {name}: lists of {' and '.join(map(str, lengths))} entries are not the turns of speakers in turn"
        )
    return [items[i] for i in range(max(lengths)) for items in lists if i < len(items)]


def _split(cell: Any, name: Any, columns: ColumnsConfig) -> list[Any]:
    """Return the turns of a cell: a list as it is, a text split at the separators."""
    if isinstance(cell, list | tuple):
        return list(cell)
    if isinstance(cell, Mapping) and cell and all(isinstance(items, list) for items in cell.values()):
        # a list of objects, as columns: the form in which `datasets` gives it
        return [dict(zip(cell, items, strict=True)) for items in zip(*cell.values(), strict=True)]
    if not isinstance(cell, str):
        raise UserError(f"field {name!r}: expected a string or a list of strings, found {kind(cell)}")
    if cell.strip()[:1] == "[" and cell.strip()[-1:] == "]" and cell.strip()[1:2] in ("'", '"', "{", "["):
        raise UserError(f"field {name!r}: a list written as text; write the table as JSON lines or Parquet")
    separators = columns.turn_separator
    pieces = [cell]
    for separator in [] if separators is None else separators if isinstance(separators, list) else [separators]:
        pieces = [part for piece in pieces for part in piece.split(str(separator))]
    replaced = [piece.strip() if separators else piece for piece in pieces]
    texts = [piece for piece in replaced if _replaced(piece, columns).strip()]
    if not texts:
        raise UserError(f"field {name!r} is empty")
    return list(texts)


def _replaced(text: str, columns: ColumnsConfig) -> str:
    for old, new in columns.replace.items():
        text = text.replace(str(old), "" if new is None else str(new))
    return text


def _refuse_or_skip(
    config: DatasetConfig, columns: Sequence[str], row: TableRow, error: UserError, skipped: list[tuple[str, str]]
) -> None:
    if isinstance(error, MissingColumn) and error.column not in columns:
        raise UserError(f"{row.where}: {error}") from error
    if not config.skip_bad:
        raise UserError(f"{row.where}: {error}{ADVICE}") from error
    skipped.append((row.where, str(error)))


def _value(row: TableRow) -> Cells:
    if isinstance(row.value, UserError):
        raise row.value
    return row.value


def _identifier(row: Cells, columns: ColumnsConfig, number: int) -> str:
    if columns.id is None and "id" not in row:
        return str(number)
    name = "id" if columns.id is None or columns.group is not None else columns.id
    value = _get(row, name)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise UserError(f"field {name!r}: an id must be a string or an integer, found {kind(value)}")
    return Reader(ColumnsConfig()).clean(str(value), str(name))


def _context_and_references(row: Cells, reader: Reader) -> tuple[tuple[str, ...], tuple[str, ...], str | None]:
    columns = reader.columns
    source = "context" if columns.context is None else columns.context
    cell = None if isinstance(source, list) else _get(row, source)
    if isinstance(cell, str) and columns.turn_separator is None and columns.speaker_separator is None:
        if not cell.strip():
            raise UserError(f"field {source!r} is empty")
        context: tuple[str, ...] = (reader.clean(cell, source),)  # the text is one turn
        system = None
    else:
        context, system = reader.texts(_raw_turns(row, source, columns), _name(source))
    system = system or _system(row, columns)
    column = columns.references
    if column is None and (name := next((name for name in _REFERENCES if name in row), None)):
        raise UserError(f"field {name!r}: the first rows have none; set dataset.columns.references={name}, or =[]")
    if column is None or column == []:
        return context, (), system
    references = _references(row, column, reader)
    if not references:
        raise UserError(
            f"field {_names(column)}: no reference (dataset.columns.references=[] reads a dataset without references)"
        )
    return context, references, system


def _references(row: Cells, column: Any, reader: Reader) -> tuple[str, ...]:
    """Return the references of one column, or of several without their empty cells, which tables pad."""
    plain = replace(reader.columns, turn_separator=None, speaker_separator=None, replies_by=None, responses=None)
    quiet = Reader(plain, Counter())
    cell = None if isinstance(column, list) else _get(row, column)
    if isinstance(cell, list | tuple) and not cell:
        return ()
    texts = _raw_turns(row, column, plain)
    if texts and all(isinstance(text, Mapping) for text in texts):
        return _last_replies(texts, _name(column), quiet)
    return tuple(turn.text for turn in quiet._turns(texts, _name(column)))


def _last_replies(values: list[Any], name: str, reader: Reader) -> tuple[str, ...]:
    """Return the references among messages: those after the last turn of a user, who is no reference."""
    turns = [turn for turn in reader._turns(values, name) if turn.text.strip()]
    users = [i for i, turn in enumerate(turns) if (turn.speaker or "").lower() in USERS | SYSTEM | TOOLS]
    return tuple(turn.text for turn in turns[users[-1] + 1 if users else 0 :])


def _get(row: Cells, name: Any) -> Any:
    """Return the value of a column. Dots in the name descend into nested objects, and into every object of a list."""
    if name in row:
        return row[name]
    if 0 in row and not isinstance(name, int):
        raise UserError("expected a JSON object, found list (dataset.columns.context=0 names its entries by position)")
    value: Any = row
    for part in [name] if isinstance(name, int) else str(name).split("."):
        if isinstance(value, list):
            if not all(isinstance(item, Mapping) and part in item for item in value):
                raise UserError(f"field {name!r}: not every entry of the list has {part!r}")
            value = [item[part] for item in value]
        elif isinstance(value, Mapping) and part in value:
            value = value[part]
        elif value is row:
            if isinstance(name, int) and 0 in row:
                raise UserError(f"there is no column {name} in a row of {len(row)}")
            names = list(map(str, row))
            raise MissingColumn(
                name,
                f"there is no column {name!r}{nearest(str(name), names)} (the columns are: {shown(names)}); "
                f"set dataset.columns{_advice(names)}",
            )
        else:
            raise UserError(f"field {name!r}: {part!r} is missing")
    return value


def _names(column: Any) -> str:
    if not isinstance(column, list):
        return repr(column)
    return "+".join(_names(name) for name in column)


def _name(column: Any) -> str:
    return str(column) if not isinstance(column, list) else "+".join(map(_name, column))
