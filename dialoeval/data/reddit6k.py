"""The 6K Reddit multi-reference test set: ``source <tab> reference <tab> reference ...``, turns joined by `` EOS ``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dialoeval.config import DatasetConfig
from dialoeval.data.example import Dataset
from dialoeval.data.records import Row, build
from dialoeval.errors import UserError
from dialoeval.files import read_lines

TURN_SEPARATOR = " EOS "


def load(config: DatasetConfig) -> Dataset:
    """Examples in file order; the id is the line number.

    Raises:
        UserError: no such file, or a line without a tab.
    """
    if not config.path or not Path(config.path).expanduser().is_file():
        raise UserError(f"dataset=reddit6k needs dataset.path=FILE (found: {config.path or 'nothing'})")
    return build(config, _rows(Path(config.path).expanduser()))


def _rows(path: Path) -> Iterator[Row]:
    for number, line in read_lines(path):
        if not line.strip():
            continue
        source, *references = line.split("\t")
        if not references:
            raise UserError(f"{path}, line {number}: expected source, tab, reference, ...")
        yield (
            f"{path}, line {number}",
            {"id": str(number), "context": source.split(TURN_SEPARATOR), "references": references},
        )
