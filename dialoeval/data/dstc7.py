"""The DSTC7 Task 2 test set in its multi-reference file, or as JSON lines of references.

The organisers' file has a context a line: ``id <tab> score|reference <tab> score|reference ...``. The dialogue turns are
not part of it (they are rebuilt from Reddit): a file of ``{"id", "context": [...]}`` beside it, ``contexts.jsonl``, gives
them for generation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from dialoeval.config import DatasetConfig
from dialoeval.data.example import Dataset
from dialoeval.data.records import Row, build
from dialoeval.errors import UserError
from dialoeval.files import read_jsonl, read_lines

_SCORED = re.compile(r"^-?[0-9.]+\|")


def load(config: DatasetConfig) -> Dataset:
    """Examples in the sorted order of their ids, as the organisers score them.

    Raises:
        UserError: no such file, or a malformed line.
    """
    if not config.path:
        raise UserError("dataset=dstc7 needs dataset.path=FILE or a folder with references.jsonl")
    path = Path(config.path).expanduser()
    path = path / "references.jsonl" if path.is_dir() else path
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    contexts = _contexts(path.with_name("contexts.jsonl"))
    rows = _jsonl(path) if path.suffix == ".jsonl" else _tsv(path)
    rows = sorted(rows, key=lambda row: row[1]["id"])
    return build(config, ((where, {**row, "context": contexts.get(row["id"], [])}) for where, row in rows))


def _jsonl(path: Path) -> Iterator[Row]:
    for number, row in read_jsonl(path):
        where = f"{path}, line {number}"
        if not isinstance(row.get("id"), str) or not isinstance(row.get("references"), list):
            raise UserError(f'{where}: needs a string "id" and a list "references"')
        yield where, {"id": row["id"], "references": row["references"]}


def _tsv(path: Path) -> Iterator[Row]:
    for number, line in read_lines(path):
        if not line.strip():
            continue
        name, *references = line.split("\t")
        if not references:
            raise UserError(f"{path}, line {number}: expected id, tab, score|reference, ...")
        yield f"{path}, line {number}", {"id": name, "references": [_SCORED.sub("", r) for r in references]}


def _contexts(path: Path) -> dict[str, list[str]]:
    if not path.is_file():
        return {}
    return {row["id"]: row["context"] for _, row in read_jsonl(path) if isinstance(row.get("context"), list)}
