"""From rows of named fields to examples: the column mapping, and what is done with bad rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from dialoeval.config import DatasetConfig
from dialoeval.data.example import Dataset, Example, fingerprint
from dialoeval.errors import UserError, nearest

Row = tuple[str, dict[str, Any]]  # (where it stands, its fields)


class BadRow(Exception):
    """A row that cannot be an example; its message names the field."""


def build(config: DatasetConfig, rows: Iterable[Row]) -> Dataset:
    """Examples of rows, by the mapping of `config.columns`; the first `limit` of them.

    Raises:
        UserError: naming where, and which field, of the first bad row; with ``skip_bad`` these are recorded instead.
    """
    examples: list[Example] = []
    skipped: list[tuple[str, str]] = []
    seen: dict[str, str] = {}
    for number, (where, row) in enumerate(rows, 1):
        if config.limit is not None and len(examples) >= config.limit:
            break
        try:
            example = _example(config, row, number)
            if example.id in seen:
                raise BadRow(f'field "id": {example.id!r} stands at {seen[example.id]} already')
        except BadRow as error:
            if not config.skip_bad:
                raise UserError(f"{where}: {error} (dataset.skip_bad=true leaves such lines out)") from error
            skipped.append((where, str(error)))
            continue
        seen[example.id] = where
        examples.append(example)
    return Dataset(config.name, tuple(examples), fingerprint(examples), tuple(skipped))


def _example(config: DatasetConfig, row: dict[str, Any], number: int) -> Example:
    columns = config.columns
    name = row.get("id") if columns.id is None else _field(row, columns.id)
    if name is not None and not isinstance(name, str | int):
        raise BadRow(f'field "{columns.id or "id"}" must be a string or a number, not {type(name).__name__}')
    context = _texts(row, columns.context if columns.context is not None else "context")
    if columns.turn_separator:
        context = [turn for text in context for turn in text.split(columns.turn_separator)]
    turns = [" ".join(turn.split()) for turn in context]
    turns = [turn for turn in turns if turn]
    references: list[str] = []
    if columns.references is not None:
        references = _texts(row, columns.references)
    elif "references" in row or "reference" in row:
        references = _texts(row, "references" if "references" in row else "reference")
    if config.context_turns:
        turns = turns[-config.context_turns :]
    return Example(str(number) if name is None else str(name), tuple(turns), tuple(references))


def _texts(row: dict[str, Any], columns: Any) -> list[str]:
    """The strings of one column (a string or a list of strings) or of several."""
    if not isinstance(columns, str):
        return [text for column in columns for text in _texts(row, column)]
    value = _field(row, columns)
    values = [value] if isinstance(value, str) else value
    if values is None:
        raise BadRow(f'field "{columns}" is empty')
    if not isinstance(values, Iterable) or isinstance(values, dict) or not all(isinstance(v, str) for v in values):
        raise BadRow(f'field "{columns}" must be a string or a list of strings')
    return list(values)


def _field(row: dict[str, Any], column: str) -> Any:
    if column not in row:
        known = ", ".join(map(str, row)) or "none"
        raise BadRow(f'there is no field "{column}"{nearest(column, map(str, row))} (fields: {known})')
    return row[column]


def lines_of(rows: Iterable[tuple[int, dict[str, Any]]], path: str) -> Iterator[Row]:
    """Numbered rows with their file named."""
    for number, row in rows:
        yield f"{path}, line {number}", row
