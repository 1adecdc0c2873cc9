"""A dataset in a JSON-lines, JSON, CSV, TSV or Parquet file, with a column mapping (``dataset.columns``)."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dialoeval.config import DatasetConfig
from dialoeval.data import columns
from dialoeval.data.columns import TableRow
from dialoeval.data.example import Dataset
from dialoeval.errors import UserError, first_line
from dialoeval.files import read_json

# surrogateescape maps each byte that is not UTF-8 to one of these, so that reading continues after a bad line.
_NOT_UTF8 = re.compile("[\udc80-\udcff]")


def load(config: DatasetConfig) -> Dataset:
    """Read the examples of the file ``config.path``.

    Raises:
        UserError: the file does not exist, is empty or has an unknown ending, or a row is bad (naming line and field).
    """
    return columns.dataset(config, rows(config))


def dialogues(config: DatasetConfig) -> list[tuple[str, ...]]:
    """Read the dialogues of the file: see `columns.dialogues`."""
    return columns.dialogues(config, rows(config))


def rows(config: DatasetConfig) -> Iterator[TableRow]:
    """Return the rows of a file, whose ending names the format. An unreadable row holds its error.

    Raises:
        UserError: the file does not exist, is empty or has an unknown ending.
    """
    if not config.path:
        raise UserError("dataset.path must be set: add dataset.path=FILE")
    path = Path(config.path).expanduser()
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path}: the name must end in one of {', '.join(READERS)}")
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty")
    return reader(path)


def _json_lines(path: Path) -> Iterator[TableRow]:
    for number, line in _lines(path):
        if line.strip():
            yield TableRow(f"{path}, line {number}", number, _or_error(_json_object, line))


def _json_object(line: str) -> dict[str, Any]:
    _refuse_not_utf8(line)
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:  # not JSON; an integer of thousands of digits; nested too deep
        raise UserError(f"not JSON: {getattr(error, 'msg', error)} (column {getattr(error, 'colno', '?')})") from error
    return _object(value)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"expected a JSON object, found {type(value).__name__}")
    return value


def _json(path: Path) -> Iterator[TableRow]:
    """Yield the rows of an array of objects, or of an object with an equally long array for each column."""
    value = read_json(path)
    if isinstance(value, dict):
        lengths = {name: len(column) if isinstance(column, list) else None for name, column in value.items()}
        if None in lengths.values() or len(set(lengths.values())) > 1:
            shapes = ", ".join(f"{name}: {'no array' if n is None else n}" for name, n in lengths.items())
            raise UserError(
                f"{path}: expected an array of objects, or an object of equally long arrays (found {shapes})"
            )
        value = [dict(zip(value, items, strict=True)) for items in zip(*value.values(), strict=True)]
    if not isinstance(value, list):
        raise UserError(f"{path}: expected an array of objects, found {type(value).__name__}")
    for number, item in enumerate(value, 1):
        yield TableRow(f"{path}, item {number}", number, _or_error(_object, item))


def _csv(path: Path) -> Iterator[TableRow]:
    """Read comma-separated rows; fields with commas, quotes or line ends are in double quotes (RFC 4180)."""
    return _table(path, lambda lines: csv.reader(lines, strict=True))


def _tsv(path: Path) -> Iterator[TableRow]:
    """Read tab-separated rows; a quotation mark is part of the text, as in IANA's text/tab-separated-values."""
    return _table(path, lambda lines: csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True))


def _table(path: Path, make_reader: Callable[[Iterator[str]], Any]) -> Iterator[TableRow]:
    """Yield the rows below a header. A row is named by the line on which it starts: quoted fields may span several."""
    reader = make_reader(line + "\n" for _, line in _lines(path))
    header = _or_error(next, reader, [])
    if isinstance(header, UserError):
        raise UserError(f"{path}, line 1: {header}")
    if not header:
        raise UserError(f"{path}, line 1: expected a line of column names")
    if len(set(header)) < len(header):
        duplicate = next(name for name in header if header.count(name) > 1)
        raise UserError(f"{path}, line 1: two columns are named {duplicate!r}")
    number = 0
    while True:
        line = reader.line_num + 1
        try:
            fields = _or_error(next, reader)
        except StopIteration:
            return
        if fields == []:
            continue
        number += 1
        yield TableRow(f"{path}, line {line}", number, _or_error(_fields, header, fields))


def _fields(header: list[str], fields: list[str] | UserError) -> dict[str, str]:
    if isinstance(fields, UserError):
        raise fields
    if len(fields) != len(header):
        raise UserError(f"{len(fields)} fields under {len(header)} column names")
    for name, field in zip(header, fields, strict=True):
        _refuse_not_utf8(field, f"field {name!r}: ")
    return dict(zip(header, fields, strict=True))


def _parquet(path: Path) -> Iterator[TableRow]:
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as table:
            for batch in table.iter_batches():
                for value in batch.to_pylist():
                    number += 1
                    yield TableRow(f"{path}, row {number}", number, value)
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{path} is not a readable Parquet file: {first_line(error)}") from error


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (number from 1, line without its end and byte order mark). Only LF and CRLF end a line."""
    try:
        with open(path, "rb") as stream:
            for number, raw in enumerate(stream, 1):
                if number == 1:
                    raw = raw.removeprefix(b"\xef\xbb\xbf")
                yield number, raw.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "surrogateescape")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def _refuse_not_utf8(text: str, field: str = "") -> None:
    if match := _NOT_UTF8.search(text):
        raise UserError(f"{field}not UTF-8 text (byte 0x{ord(match.group()) - 0xDC00:02x}); save the file as UTF-8")


def _or_error(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except UserError as error:
        return error
    except csv.Error as error:
        return UserError(f"not a readable row: {error}")


READERS: dict[str, Callable[[Path], Iterator[TableRow]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".csv": _csv,
    ".tsv": _tsv,
    ".parquet": _parquet,
}
