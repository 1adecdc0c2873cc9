"""The Cornell movie dialogs: `movie_lines.txt` and `movie_conversations.txt`, with fields between ``+++$+++``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from dialoeval.config import DatasetConfig
from dialoeval.data import columns
from dialoeval.data.content import content
from dialoeval.data.example import Dataset
from dialoeval.data.formats import TableRow
from dialoeval.errors import UserError

_FIELD = " +++$+++ "
LINES, CONVERSATIONS = "movie_lines.txt", "movie_conversations.txt"


def load(config: DatasetConfig) -> Dataset:
    """Read an example for each line that answers another in a conversation.

    Raises:
        UserError: a file is missing, a line has too few fields, or a conversation names a line that does not exist.
    """
    return columns.dataset(_mapped(config), rows(config), "the corpus's text")


def dialogues(config: DatasetConfig) -> Iterator[tuple[str, ...]]:
    """Yield the conversations."""
    return columns.dialogues(_mapped(config), rows(config))


def _mapped(config: DatasetConfig) -> DatasetConfig:
    return replace(config, columns=replace(config.columns, turns="turns"))


def rows(config: DatasetConfig) -> Iterator[TableRow]:
    """Yield a row for each conversation: its turns, each with its speaker.

    Raises:
        UserError: as `load`.
    """
    if not config.path:
        raise UserError(f"dataset.path must be set: add dataset.path=FOLDER (of {LINES} and {CONVERSATIONS})")
    path = Path(config.path).expanduser()
    folder = path if path.is_dir() else path.parent
    texts = {fields[0]: (fields[1], fields[-1]) for _, fields in _fields(folder / LINES, 5)}
    for number, fields in _fields(folder / CONVERSATIONS, 4):
        where = f"{folder / CONVERSATIONS}, line {number}"
        yield TableRow(where, number, _row(fields[-1], texts, where))


def _row(listed: str, texts: dict[str, tuple[str, str]], where: str) -> dict[str, object] | UserError:
    try:
        names = ast.literal_eval(listed.strip())
    except (ValueError, SyntaxError, RecursionError):
        return UserError(f"expected a list of lines such as ['L194', 'L195'], found {listed[:40]!r}")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return UserError(f"expected a list of lines such as ['L194', 'L195'], found {listed[:40]!r}")
    if absent := [name for name in names if name not in texts]:
        return UserError(f"the line {absent[0]!r} is not in {LINES}")
    return {"turns": [{"speaker": texts[name][0], "text": " ".join(texts[name][1].split())} for name in names]}


def _fields(file: Path, least: int) -> Iterator[tuple[int, list[str]]]:
    if not file.is_file():
        raise UserError(f"there is no file {file}: the folder must hold {LINES} and {CONVERSATIONS}")
    for number, raw in content(file).lines():
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError:
            line = raw.decode("iso-8859-1")  # the encoding of the corpus as published
        if not line.strip():
            continue
        fields = line.split(_FIELD) if not line.endswith(_FIELD.rstrip()) else [*line.split(_FIELD), ""]
        fields = [field.removesuffix(_FIELD.rstrip()) for field in fields]
        if len(fields) < least:
            raise UserError(f"{file}, line {number}: expected {least} fields between +++$+++, found {len(fields)}")
        yield number, fields
