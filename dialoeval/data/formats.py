"""Formats of tables, told by their content, and their rows: JSON lines, JSON, CSV, TSV, Parquet, plain text."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, islice
from typing import Any

from dialoeval.data.content import Content, decoded
from dialoeval.errors import UserError, first_line

_REFERENCES = {"references", "reference"}
TEXT = "text"  # the only column of plain text
csv.field_size_limit(2**31 - 1)  # a cell may be a long conversation
Cells = Mapping[Any, Any]  # {column name, or position from 0 in a table without names: value}


class Format(StrEnum):
    """The format of a table."""

    jsonl = "jsonl"  # a JSON value a line
    json = "json"  # one JSON value
    csv = "csv"  # double quotes as in RFC 4180
    csv_unquoted = "csv_unquoted"  # commas in texts are written otherwise; a quotation mark is part of the text
    tsv = "tsv"  # a quotation mark is part of the text
    parquet = "parquet"
    text = "text"  # lines of plain text


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
    value: Cells | UserError


def detect(content: Content) -> Format:
    """Return the format of a content. The ending of its name counts only where the content leaves a choice.

    Raises:
        UserError: the content cannot be read.
    """
    head = content.head
    if head.startswith(b"PAR1"):
        return Format.parquet
    lines = [line for line in head.split(b"\n") if line.strip()]
    first = lines[0].strip() if lines else b""
    if first[:1] in (b"{", b"["):
        whole_lines = (line for _, line in content.lines() if line.strip())
        return _json_format(content, first, list(islice(whole_lines, 2)))
    by_suffix = {".csv": Format.csv, ".tsv": Format.tsv, ".jsonl": Format.jsonl, ".ndjson": Format.jsonl}
    chosen = by_suffix.get(content.suffix) or (Format.json if content.suffix == ".json" else None)
    if chosen in (Format.jsonl, Format.json):  # a damaged first line
        return Format.jsonl if chosen == Format.jsonl or (len(lines) > 1 and _value(lines[1])) else Format.json
    if chosen == Format.csv and b"\t" in first and b"," not in first:
        return Format.tsv
    whole = lines[:-1] if len(head) > 60_000 else lines
    return chosen or (Format.tsv if whole and all(b"\t" in line for line in whole) else Format.text)


def _json_format(content: Content, first: bytes, lines: list[bytes]) -> Format:
    value, second = _value(lines[0]), _value(lines[1]) if len(lines) > 1 else None
    if value is None:  # an indented document, or a damaged line of JSON lines, or text in brackets
        if second is not None:
            return Format.jsonl
        if content.suffix in (".jsonl", ".ndjson"):
            return Format.jsonl if _value(content.read()) is None else Format.json
        is_text = content.suffix != ".json" and first[1:].strip()[:1] not in (b"", b'"', b"{", b"[", b"]", b"}")
        return Format.text if is_text else Format.json
    if len(lines) > 1:
        return Format.jsonl
    if content.suffix == ".json" or (isinstance(value, list) and any(isinstance(item, dict) for item in value)):
        return Format.json
    return Format.jsonl if isinstance(value, dict) or content.suffix in (".jsonl", ".ndjson") else Format.json


def _value(text: bytes) -> dict[str, Any] | list[Any] | None:
    """Return the object or array that a text is, or None."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def rows(content: Content, form: Format, *, names: bool = True) -> Iterator[TableRow]:
    """Yield the rows of a table. An unreadable row holds its error.

    Args:
        content: the table.
        form: its format.
        names: the first line of CSV and TSV names the columns; otherwise they are numbered from 0.

    Raises:
        UserError: the table as a whole is malformed; the message names the line.
    """
    if form == Format.csv:
        return _table(content, lambda lines: csv.reader(lines, strict=True), names)
    if form == Format.csv_unquoted:
        return _table(content, _unquoted, names)
    if form == Format.tsv:
        return _table(content, _tab_separated, names)
    return {
        Format.jsonl: _json_lines,
        Format.json: _json,
        Format.parquet: _parquet,
        Format.text: _text,
    }[form](content)


def _json_lines(content: Content) -> Iterator[TableRow]:
    for number, line in content.lines():
        if line.strip():
            yield TableRow(f"{content.name}, line {number}", number, _or_error(_json_row, line))


def _json_row(line: bytes) -> Cells:
    return _cells(parse_json(decoded(line)))


def parse_json(text: str) -> Any:
    """Return a JSON value.

    Raises:
        UserError: the text is not JSON, or an object has a key twice, of which a reader would drop one value.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_object)
    except UserError:
        raise
    except (ValueError, RecursionError) as error:  # not JSON; an integer of thousands of digits; nested too deep
        if isinstance(error, json.JSONDecodeError):
            raise UserError(f"not JSON: {error.msg} (column {error.colno})") from error
        raise UserError(f"unreadable JSON: {first_line(error)}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"the key {twice[:40]!r} occurs twice in an object")
    return value


def _refuse_constant(name: str) -> Any:
    raise UserError(f"{name} is not a JSON value")


def _cells(value: Any) -> Cells:
    if isinstance(value, dict):
        return value
    if isinstance(value, list) and value:
        return dict(enumerate(value))
    found = "an empty array" if value == [] else type(value).__name__
    raise UserError(f"expected a JSON object, found {found}")


def _json(content: Content) -> Iterator[TableRow]:
    """Yield the rows of an array, of an object of objects (the key is the id), or of an object of equal columns."""
    try:
        value = parse_json(decoded(content.read(), content.name))
    except UserError as error:
        raise UserError(f"{content.name}: {str(error).removeprefix(f'{content.name}: ')}") from error
    for number, item in enumerate(_items(value, content.name), 1):
        yield TableRow(f"{content.name}, item {number}", number, _or_error(_cells, item))


def _items(value: Any, name: str) -> list[Any]:
    if isinstance(value, list):
        if not value:
            raise UserError(f"{name}: the array is empty")
        return value
    if not isinstance(value, dict):
        raise UserError(f"{name}: expected an array of objects, found {type(value).__name__}")
    if value and all(isinstance(item, dict) for item in value.values()):
        return [item | {"id": key} for key, item in value.items()]
    if _is_row(value):
        return [value]
    lists = [item for item in value.values() if isinstance(item, list)]
    if len(lists) == 1 and all(isinstance(item, dict) for item in lists[0]):  # {"version": ..., "data": [...]}
        return lists[0]
    context = value.get("context")
    if isinstance(context, list) and _REFERENCES & set(value) and any(isinstance(item, str) for item in context):
        raise UserError(
            f"{name}: one object with lists of texts may be one row or columns: write the row as a line of JSON lines "
            "(dataset.format=jsonl), or an array of objects"
        )
    lengths = {key: len(item) if isinstance(item, list) else None for key, item in value.items()}
    if None not in lengths.values() and len(set(lengths.values())) == 1:
        return [dict(zip(value, items, strict=True)) for items in zip(*value.values(), strict=True)]
    shapes = ", ".join(f"{key}: {'no array' if n is None else n}" for key, n in islice(lengths.items(), 10))
    raise UserError(f"{name}: expected an array of objects, or an object of equally long arrays (found {shapes})")


def _is_row(value: Mapping[str, Any]) -> bool:
    """Return whether an object is one conversation: its turns stand beside an id or other texts."""
    return bool({"messages", "conversations", "dialogue", "dialog", "turns", "utterances"} & set(value)) and any(
        not isinstance(item, list) for item in value.values()
    )


def _table(content: Content, make_reader: Callable[[Iterator[str]], Any], names: bool) -> Iterator[TableRow]:
    """Yield the rows of a table. A row is named by the line on which it starts: quoted fields may span several."""
    # surrogateescape keeps bytes that are not UTF-8 until the row that holds them is known
    reader = make_reader(line.decode("utf-8", "surrogateescape") + "\n" for _, line in content.lines())
    header: list[str] | None = None
    if names:
        first = _or_error(next, reader, [])
        if isinstance(first, UserError):
            raise UserError(f"{content.name}, line 1: {first}")
        header = _header(first, content.name)
    number = 0
    blank: list[int] = []  # blank lines that a row may follow
    while True:
        line = reader.line_num + 1
        try:
            fields = _or_error(next, reader)
        except StopIteration:
            return
        if fields == []:
            blank.append(line)
            continue
        for place in blank:
            number += 1
            name: str | int = header[0] if header is not None else 0
            empty = {name: ""} if len(header or fields) == 1 else UserError("a blank line between rows")
            yield TableRow(f"{content.name}, line {place}", number, empty)
        blank = []
        number += 1
        yield TableRow(f"{content.name}, line {line}", number, _or_error(_fields, header, fields))


def _unquoted(lines: Iterator[str]) -> Any:
    """A further field at the end of a row, which some of the published files have, is dropped."""
    return _Shortened(csv.reader(lines, quoting=csv.QUOTE_NONE, strict=True))


class _Shortened:
    """Rows of at most as many fields as the first, of which one more is allowed."""

    def __init__(self, reader: Any) -> None:
        self.reader, self.most = reader, 0

    @property
    def line_num(self) -> int:
        return int(self.reader.line_num)

    def __next__(self) -> list[str]:
        fields: list[str] = next(self.reader)
        self.most = self.most or len(fields)
        return fields[: self.most] if len(fields) == self.most + 1 else fields


def _tab_separated(lines: Iterator[str]) -> Any:
    """A quotation mark is part of the text, as in IANA's text/tab-separated-values."""
    return csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True)


def _header(names: list[str], where: str) -> list[str]:
    if not names:
        raise UserError(f"{where}, line 1: expected a line of column names")
    names = [name.strip() if name.isascii() else name for name in names]
    if names[-1] == "" and len(names) > 1:
        names[-1] = str(len(names) - 1)
    if len(set(names)) < len(names):
        duplicate = next(name for name in names if names.count(name) > 1)
        raise UserError(
            f"{where}, line 1: two columns are named {duplicate!r} (a table without a line of names has its columns "
            "named by position: dataset.columns.context=0)"
        )
    return names


def _fields(header: list[str] | None, fields: list[str] | UserError) -> Cells:
    if isinstance(fields, UserError):
        raise fields
    if header is not None and len(fields) != len(header):
        raise UserError(f"{len(fields)} fields under {len(header)} column names")
    named = dict(zip(header, fields, strict=True)) if header is not None else dict(enumerate(fields))
    for name, field in named.items():
        if byte := next((c for c in field if "\udc80" <= c <= "\udcff"), None):
            value = ord(byte) - 0xDC00
            raise UserError(f"field {name!r}: not UTF-8 text (byte 0x{value:02x}); save the file as UTF-8")
    return named


def _parquet(content: Content) -> Iterator[TableRow]:
    import pyarrow
    import pyarrow.parquet

    source = content.name if content.pipe is None else pyarrow.BufferReader(content.pipe)
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(source) as table:
            for batch in table.iter_batches():
                for value in batch.to_pylist():
                    number += 1
                    yield TableRow(f"{content.name}, row {number}", number, value)
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{content.name} is not a readable Parquet file: {first_line(error)}") from error


def _text(content: Content) -> Iterator[TableRow]:
    for number, line in content.lines():
        where = f"{content.name}, line {number}"
        yield TableRow(where, number, _or_error(_text_row, line))


def _text_row(line: bytes) -> Cells:
    return {TEXT: decoded(line)}


def _or_error(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except UserError as error:
        return error
    except csv.Error as error:
        return UserError(f"not a readable row: {error}")


def peek(table: Iterator[TableRow], count: int = 20) -> tuple[list[TableRow], Iterator[TableRow]]:
    """Return the first `count` rows, and an iterator of all rows, these included."""
    first = list(islice(table, count))
    return first, chain(first, table)
