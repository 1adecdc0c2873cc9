"""Rows of published judgments that hold objects and lists: flattened, so that columns can be named."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from dialoeval.data.formats import Cells
from dialoeval.errors import UserError
from dialoeval.judging.values import text_of

Rows = list[tuple[str, Cells]]


def flattened(table: Rows, named: Collection[str]) -> Rows:
    """Return the rows with a column for each field of an inner object, and for each column that the user put together.

    ``annotations.fluency`` is the field of an object. If the user names a field of a list of objects, such as
    ``responses.model``, each object is a row, and the column ``responses`` is its place from 1. A name such as
    ``dialogue+turn`` joins two columns.

    Args:
        table: (file and line, cells) of each row.
        named: the columns that the user names.

    Raises:
        UserError: the named columns lie in more than one list of objects.
    """
    if any(isinstance(value, dict | list) for _, cells in table for value in cells.values()):
        table = [row for where, cells in table for row in _rows(where, dict(_fields(cells, "")), named)]
    joined = [name for name in named if "+" in name]
    return [(where, _joined(cells, joined)) for where, cells in table] if joined else table


def inner_names(table: Rows) -> list[str]:
    """Return the names of the fields in lists of objects of the first row, which a user may name."""
    return [
        f"{name}.{field}"
        for _, cells in table[:1]
        for name, value in cells.items()
        if _objects(value)
        for field, _ in _fields(value[0], "")
    ]


def _fields(cells: Cells, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in cells.items():
        if isinstance(value, dict):
            yield from _fields(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _rows(where: str, cells: Cells, named: Collection[str]) -> Iterator[tuple[str, Cells]]:
    lists = [
        name
        for name, value in cells.items()
        if _objects(value) and any(column.startswith(f"{name}.") for column in named)
    ]
    if not lists:
        yield where, cells
        return
    if len(lists) > 1:
        raise UserError(f"{where}: --map names fields of {' and of '.join(lists)}: read one list at a time")
    name = lists[0]
    rest = {column: value for column, value in cells.items() if column != name}
    for place, inner in enumerate(cells[name], 1):
        row = {**rest, name: place, **dict(_fields(inner, f"{name}."))}
        yield from _rows(f"{where}, {name} {place}", row, named)


def _objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _joined(cells: Cells, names: Sequence[str]) -> Cells:
    added = {}
    for name in names:
        parts = [cells.get(part.strip()) for part in name.split("+")]
        texts = [text_of(part) for part in parts if part not in (None, "")]
        if name not in cells and len(texts) == len(parts) and None not in texts:
            added[name] = " / ".join(map(str, texts))
    return {**cells, **added}
