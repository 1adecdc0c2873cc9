"""A user's own file: JSON lines, JSON, CSV, TSV or Parquet, with a column mapping."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dialoeval.config import DatasetConfig
from dialoeval.data.example import Dataset
from dialoeval.data.records import Row, build
from dialoeval.errors import UserError, nearest
from dialoeval.files import read_json, read_lines


def load(config: DatasetConfig) -> Dataset:
    """Examples of ``dataset.path``, by its ending: .jsonl, .json, .csv, .tsv, .parquet.

    Raises:
        UserError: no such file, unknown ending, or a bad line (file, line number, field).
    """
    if not config.path:
        raise UserError("dataset=file needs dataset.path=FILE")
    path = Path(config.path).expanduser()
    if not path.is_file():
        raise UserError(f"there is no file {config.path}")
    readers = {".jsonl": _jsonl, ".ndjson": _jsonl, ".json": _json, ".csv": _csv, ".tsv": _csv, ".parquet": _parquet}
    if path.suffix not in readers:
        raise UserError(f"{path}: unknown kind of file{nearest(path.suffix, readers)} (known: {', '.join(readers)})")
    return build(config, readers[path.suffix](path, config))


def _jsonl(path: Path, config: DatasetConfig) -> Iterator[Row]:
    for number, line in read_lines(path):
        if line.strip():
            where = f"{path}, line {number}"
            yield where, _object(line, where, config)


def _object(line: str, where: str, config: DatasetConfig) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        if config.skip_bad:
            return {}  # has no fields: recorded as a bad row
        raise UserError(f"{where}: not JSON: {getattr(error, 'msg', error)}") from error
    if isinstance(row, dict):
        return row
    if config.skip_bad:
        return {}
    raise UserError(f"{where}: expected a JSON object, found {type(row).__name__}")


def _json(path: Path, config: DatasetConfig) -> Iterator[Row]:
    whole = read_json(path)
    if isinstance(whole, dict):
        lengths = {len(column) if isinstance(column, list) else -1 for column in whole.values()}
        if len(lengths) != 1 or -1 in lengths:
            raise UserError(f"{path}: expected a list of objects, or an object of columns of one length")
        whole = [dict(zip(whole, values, strict=True)) for values in zip(*whole.values(), strict=True)]
    if not isinstance(whole, list):
        raise UserError(f"{path}: expected a list of objects, found {type(whole).__name__}")
    for number, row in enumerate(whole, 1):
        if not isinstance(row, dict):
            raise UserError(f"{path}, entry {number}: expected an object, found {type(row).__name__}")
        yield f"{path}, entry {number}", row


def _csv(path: Path, config: DatasetConfig) -> Iterator[Row]:
    """Comma- or tab-separated, with a header; tabs are not quoted. Line numbers are those of the file."""
    tabs = path.suffix == ".tsv"
    lines = (line + "\n" for _, line in read_lines(path))
    csv.field_size_limit(1 << 30)
    reader = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE) if tabs else csv.reader(lines, strict=True)
    header: list[str] | None = None
    while True:
        number = reader.line_num + 1
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise UserError(f"{path}, line {number}: {error}") from error
        if fields is None:
            return
        if header is None:
            header = fields
        elif fields:
            row: dict[str, Any] = dict(zip(header, fields, strict=False))
            if len(fields) != len(header) and not config.skip_bad:
                raise UserError(f"{path}, line {number}: {len(fields)} fields, but the header has {len(header)}")
            yield f"{path}, line {number}", row if len(fields) == len(header) else {}


def _parquet(path: Path, config: DatasetConfig) -> Iterator[Row]:
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        number = 0
        for batch in file.iter_batches(batch_size=1024):
            for row in batch.to_pylist():
                number += 1
                yield f"{path}, row {number}", row
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{path} is not a Parquet file that can be read: {error}") from error
