"""Examples and dialogues from the rows of any table, by a column mapping."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dialoeval.config.schema import ColumnsConfig, DatasetConfig
from dialoeval.data.example import Dataset, Example, fingerprint
from dialoeval.errors import UserError, nearest

ADVICE = " (dataset.skip_bad=true skips such rows and counts them)"

_logger = logging.getLogger(__name__)
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class TableRow:
    """A row of a table, or the reason why it cannot be read.

    Attributes:
        where: file and line (or item, or row), as in messages.
        number: position from 1, counting bad rows; the example's id if there is no id column.
        value: {column: value}, or the error raised by reading the row.
    """

    where: str
    number: int
    value: Mapping[str, Any] | UserError


class MissingColumn(UserError):
    """A column of the mapping that the table does not have; never skipped, since every row lacks it."""


def dataset(config: DatasetConfig, rows: Iterable[TableRow]) -> Dataset:
    """Return a dataset of the first `config.limit` examples; no further rows are read.

    Raises:
        UserError: a bad row (naming file, line and field) or a duplicate id, unless `skip_bad` is set, which records
            these rows instead; or the table lacks a column of the mapping.
    """
    skipped: list[tuple[str, str]] = []
    return gather(config, _examples(config, rows, skipped), skipped)


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
        unique.append(example)
        if len(unique) == config.limit:
            break
    return Dataset(config.name, tuple(unique), fingerprint(unique), tuple(skipped))


def dialogues(config: DatasetConfig, rows: Iterable[TableRow]) -> list[tuple[str, ...]]:
    """Return the dialogues to train on: the `turns` of each row, or its context with each of its references.

    Without a `references` column, the context is the dialogue. `config.limit` counts rows.

    Raises:
        UserError: as `dataset`; with `skip_bad` the number of bad rows is logged instead.
    """
    conversations: list[tuple[str, ...]] = []
    skipped: list[tuple[str, str]] = []
    used = 0
    for row in rows:
        if used == config.limit:
            break
        try:
            value = _value(row)
            if config.columns.turns is not None:
                conversations.append(_texts(value, config.columns.turns, config.columns.turn_separator))
            else:
                context, references = _context_and_references(value, config.columns)
                conversations += [(*context, reference) for reference in references] or [context]
        except UserError as error:
            _refuse_or_skip(config, row, error, skipped)
            continue
        used += 1
    if skipped:
        where, why = skipped[0]
        _logger.warning("%s: %d bad rows skipped; the first: %s: %s", config.name, len(skipped), where, why)
    return conversations


def _examples(
    config: DatasetConfig, rows: Iterable[TableRow], skipped: list[tuple[str, str]]
) -> Iterator[tuple[str, Example]]:
    columns = config.columns
    for row in rows:
        try:
            value = _value(row)
            name = _identifier(value, columns, row.number)
            if columns.turns is None:
                examples = [Example(name, *_context_and_references(value, columns))]
            else:
                turns = _texts(value, columns.turns, columns.turn_separator)
                examples = [Example(f"{name}:{i}", turns[:i], (turns[i],)) for i in range(1, len(turns))]
        except UserError as error:
            _refuse_or_skip(config, row, error, skipped)
            continue
        for example in examples:
            yield row.where, last_turns(example, config.context_turns)


def last_turns(example: Example, count: int) -> Example:
    """Return the example with only the last `count` turns of its context, or all of them if `count` is 0."""
    return Example(example.id, example.context[-count:] if count else example.context, example.references)


def _refuse_or_skip(config: DatasetConfig, row: TableRow, error: UserError, skipped: list[tuple[str, str]]) -> None:
    if isinstance(error, MissingColumn):
        raise UserError(f"{row.where}: {error}") from error
    if not config.skip_bad:
        raise UserError(f"{row.where}: {error}{ADVICE}") from error
    skipped.append((row.where, str(error)))


def _value(row: TableRow) -> Mapping[str, Any]:
    if isinstance(row.value, UserError):
        raise row.value
    return row.value


def _identifier(row: Mapping[str, Any], columns: ColumnsConfig, number: int) -> str:
    if columns.id is None and "id" not in row:
        return str(number)
    name = columns.id or "id"
    value = _get(row, name)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise UserError(f"field {name!r}: an id must be a string or an integer, found {_kind(value)}")
    return str(value) if isinstance(value, int) else _checked(value, name)


def _context_and_references(row: Mapping[str, Any], columns: ColumnsConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
    context = _texts(row, "context" if columns.context is None else columns.context, columns.turn_separator)
    column = columns.references
    if column is None:
        column = next((name for name in ("references", "reference") if name in row), [])
    if not column:
        return context, ()
    references = _texts(row, column, separator=None)
    if not references:
        raise UserError(
            f"field {_names(column)}: no reference (dataset.columns.references=[] reads a dataset without references)"
        )
    return context, references


def _texts(row: Mapping[str, Any], column: str | Sequence[str], separator: str | None) -> tuple[str, ...]:
    """Return the texts of one column, or of several columns without their empty cells.

    A text is split at the separator. Empty cells are allowed in several columns because tables pad short dialogues.
    """
    if not isinstance(column, str):
        cells = [(name, _get(row, name)) for name in column]
        texts = [text for name, cell in cells if cell not in (None, "") for text in _cell(cell, name, separator)]
        if not texts:
            raise UserError(f"field {_names(column)}: all columns are empty")
        return tuple(texts)
    return _cell(_get(row, column), column, separator)


def _cell(value: Any, name: str, separator: str | None) -> tuple[str, ...]:
    if isinstance(value, str):
        pieces = [value] if separator is None else value.split(separator)
        texts = tuple(_checked(piece.strip() if separator else piece, name) for piece in pieces if piece.strip())
        if not texts:
            raise UserError(f"field {name!r} is empty")
        return texts
    if not isinstance(value, list | tuple):
        raise UserError(f"field {name!r}: expected a string or a list of strings, found {_kind(value)}")
    for position, text in enumerate(value, 1):
        if not isinstance(text, str):
            raise UserError(f"field {name!r}: entry {position} of the list must be a string, found {_kind(text)}")
        if not text.strip():
            raise UserError(f"field {name!r}: entry {position} of the list is empty")
    return tuple(_checked(text, name) for text in value)


def _checked(text: str, name: str) -> str:
    if _LONE_SURROGATE.search(text):
        raise UserError(f"field {name!r} contains a lone surrogate, which is not valid text")
    return text


def _get(row: Mapping[str, Any], name: str) -> Any:
    """Return the value of a column. Dots in the name descend into nested objects, and into every object of a list."""
    if name in row:
        return row[name]
    value: Any = row
    for part in name.split("."):
        if isinstance(value, list):
            if not all(isinstance(item, Mapping) and part in item for item in value):
                raise UserError(f"field {name!r}: not every entry of the list has {part!r}")
            value = [item[part] for item in value]
        elif isinstance(value, Mapping) and part in value:
            value = value[part]
        elif value is row:
            raise MissingColumn(
                f"there is no column {name!r}{nearest(name, row)} (the columns are: {', '.join(map(str, row))}); "
                "set dataset.columns"
            )
        else:
            raise UserError(f"field {name!r}: {part!r} is missing")
    return value


def _names(column: str | Sequence[str]) -> str:
    return repr(column) if isinstance(column, str) else "+".join(map(repr, column))


def _kind(value: Any) -> str:
    if value is None:
        return "nothing (null)"
    return {"dict": "an object", "list": "a list", "bool": "true or false", "str": "an empty string"}.get(
        type(value).__name__, f"a {type(value).__name__}"
    )
