"""A dataset in files of JSON lines, JSON, CSV, TSV, Parquet or plain text, with a column mapping."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from glob import glob, has_magic
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

from dialoeval.config import DatasetConfig
from dialoeval.data import columns, shapes
from dialoeval.data.content import Content, content
from dialoeval.data.example import Dataset
from dialoeval.data.formats import TEXT, Format, TableRow, detect, peek, rows
from dialoeval.errors import UserError, nearest

SEPARATORS = ("__eot__", "__eou__", "<|endoftext|>", "</s>", " EOS ", " <eos> ", "[SEP]", " ||| ", "\t")
_SPEAKER = re.compile(r"\s*([^\s:][^:]{0,30}):\s+\S")
_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".txt")
_HINTS = (
    (re.compile(r"1 (your|partner's) persona: |1 [^\t]+\t[^\t]+(\t|$)"), "convai2"),
    (re.compile(r".*\+\+\+\$\+\+\+"), "cornell"),
    (re.compile(r"t3_\w+(,t\d_\w+)+\t|[01]\.0 .* EOS .*\t|[01]\.0 [^\t]*\t[01]\.0 "), "dialogpt_tsv"),
    (re.compile(r"[0-9a-f]{20,}\t"), "dstc7"),
    (re.compile(r"[^\t]*( EOS )?[^\t]*\t-?\d+(\.\d+)?\|"), "reddit6k"),
    (re.compile(r".*__eou__"), "dailydialog"),
)


def load(config: DatasetConfig) -> Dataset:
    """Read the examples of the files ``config.path``.

    Raises:
        UserError: the file does not exist, is empty, its format or columns cannot be told, or a row is bad (naming line
            and field).
    """
    config, table, form = _open(config)
    return columns.dataset(config, table, form)


def dialogues(config: DatasetConfig) -> Iterator[tuple[str, ...]]:
    """Yield the dialogues of the files: see `columns.dialogues`."""
    config, table, _ = _open(config)
    return columns.dialogues(config, table)


def paths(config: DatasetConfig) -> list[str]:
    """Return the files that ``config.path`` names: a file, a pattern, or a folder of files.

    In a folder, if a file is named after ``config.split``, only such files are read.

    Raises:
        UserError: there is no such file.
    """
    if not config.path:
        raise UserError("dataset.path must be set: add dataset.path=FILE")
    path = str(Path(config.path).expanduser()) if config.path != "-" else "-"
    if Path(path).is_dir():
        found = sorted(str(file) for file in Path(path).iterdir() if Content(str(file)).suffix in _SUFFIXES)
        found = _of_split(found, config.split, path)
    elif has_magic(path) and not Path(path).exists():
        found = sorted(glob(path, recursive=True))
    else:
        return [path]
    if not found:
        raise UserError(f"there is no file {path}" if has_magic(path) else f"the folder {path} has no data file")
    return found


_SPLITS = ({"train", "training"}, {"valid", "validation", "val", "dev"}, {"test", "testing"})


def _of_split(files: list[str], split: str, folder: str) -> list[str]:
    """Return the files that are named after a split, or all if none is named after any.

    Raises:
        UserError: files are named after other splits only.
    """
    words = {file: set(re.split(r"[^a-z]+", Path(file).name.lower())) for file in files}
    own = next((names for names in _SPLITS if split in names), {split})
    chosen = [file for file in files if words[file] & own]
    others = [file for file in files if words[file] & set().union(*_SPLITS)]
    if files and not chosen and (others or split != DatasetConfig.split):
        listed = ", ".join(Path(file).name for file in (others or files)[:5])
        raise UserError(f"the folder {folder} has no file of the split {split!r} (it has: {listed}); set dataset.split")
    return chosen or files


def _open(config: DatasetConfig) -> tuple[DatasetConfig, Iterator[TableRow], str]:
    if config.path and (Path(config.path).expanduser() / "dataset_info.json").is_file():
        return config, _saved(config, Path(config.path).expanduser()), "datasets"
    if config.path and (Path(config.path).expanduser() / "dataset_dict.json").is_file():
        folder = Path(config.path).expanduser() / config.split
        if not folder.is_dir():
            splits = sorted(file.name for file in folder.parent.iterdir() if file.is_dir())
            raise UserError(f"{folder.parent} has no split {config.split!r} (it has: {', '.join(splits)})")
        return config, _saved(config, folder), "datasets"
    contents = [content(path) for path in paths(config)]
    forms = {name: _format(config, name) for name in contents}
    if len(set(forms.values())) > 1:
        listed = ", ".join(f"{c.name} is {form}" for c, form in list(forms.items())[:3])
        raise UserError(f"the files of {config.path} are not of one format: {listed}")
    form = forms[contents[0]]
    if form == Format.text:
        tables = [_conversations(config, each) for each in contents]
        return tables[0][0], _numbered([table for _, table in tables]), str(form)
    named = [rows(each, form, names=not config.columns.by_position) for each in contents]
    return (
        config,
        _numbered([_hinted(config, each, form, table) for each, table in zip(contents, named, strict=True)]),
        form,
    )


def _format(config: DatasetConfig, each: Content) -> Format:
    if config.format is not None and config.format not in list(Format):
        raise UserError(
            f"dataset.format={config.format}{nearest(config.format, Format)} (known: {', '.join(Format)}; null: told "
            "by the content)"
        )
    detected = detect(each)
    header = each.head.split(b"\n", 1)[0].decode("utf-8", "replace").strip()
    if detected == Format.csv and set(header.split(",")) >= shapes.UNQUOTED:
        is_quoted = not any(isinstance(row.value, UserError) for row in rows(each, Format.csv))
        detected = Format.csv if is_quoted else Format.csv_unquoted
    return detected if config.format is None else Format(config.format)


def _numbered(tables: list[Iterator[TableRow]]) -> Iterator[TableRow]:
    """Yield the rows of all files; those of later files are numbered on, since a number may be an id."""
    if len(tables) == 1:
        return tables[0]
    return (replace(row, number=number) for number, row in enumerate(chain.from_iterable(tables), 1))


def _hinted(config: DatasetConfig, each: Content, form: Format, table: Iterator[TableRow]) -> Iterator[TableRow]:
    """Yield the rows of a table; refuse one whose line of names is a line of another kind of data.

    Raises:
        UserError: the first line is that of a published dataset, which another option reads.
    """
    if config.columns.by_position or form not in (Format.tsv, Format.csv):
        return table
    first = next((line for line in each.head.decode("utf-8", "replace").splitlines() if line.strip()), "")
    preset = next((name for pattern, name in _HINTS if pattern.match(first)), None)
    if preset is not None and each.suffix != ".csv":
        raise UserError(
            f"{each.name}, line 1: this is no line of column names; it looks like dataset={preset} (a table without a "
            "line of names has its columns named by position: dataset.columns.context=0)"
        )
    return table


def _saved(config: DatasetConfig, folder: Path) -> Iterator[TableRow]:
    """Yield the rows of a folder that `datasets` wrote with save_to_disk."""
    import datasets

    try:
        saved: Any = datasets.load_from_disk(str(folder))
    except Exception as error:
        raise UserError(f"cannot read the dataset in {folder}: {error}") from error
    for number, value in enumerate(saved, 1):
        yield TableRow(f"{folder}, row {number}", number, value)


def _conversations(config: DatasetConfig, each: Content) -> tuple[DatasetConfig, Iterator[TableRow]]:
    """Return the rows of plain text, one a conversation, and the settings that read them.

    A line is a conversation if it has turn separators; otherwise a block of lines is, one turn a line.

    Raises:
        UserError: the text has neither separators nor blank lines nor speakers.
    """
    first, table = peek(rows(each, Format.text), 200)
    lines = [str(row.value[TEXT]) for row in first if not isinstance(row.value, UserError)]
    written = [line for line in lines if line.strip()]
    separator = config.columns.turn_separator
    if separator is None:
        separator = next((s for s in SEPARATORS if sum(s in line for line in written) > len(written) / 2), None)
    if separator is not None:
        if hint := next((name for pattern, name in _HINTS[:5] if written and pattern.match(written[0])), None):
            raise UserError(f"{each.name}: it looks like dataset={hint}")
        settings = replace(config.columns, turns=config.columns.turns or TEXT, turn_separator=separator)
        return replace(config, columns=settings), (row for row in table if not _is_blank(row))
    speaker = config.columns.speaker_separator
    names = [match.group(1) for line in written if (match := _SPEAKER.match(line))]
    if speaker is None and len(names) == len(written) and len(set(names)) <= max(2, len(names) // 3):
        speaker = ":"
    blocks = any(not a.strip() and b.strip() for a, b in pairwise(lines))
    if not blocks and speaker is None:
        hint = next((name for pattern, name in _HINTS if written and pattern.match(written[0])), None)
        raise UserError(
            f"{each.name}: plain text in which no conversation can be told: set dataset.columns.turn_separator=TEXT "
            "if a line is a conversation, or leave a blank line between conversations of one turn a line"
            + (f"; it looks like dataset={hint}" if hint else "")
        )
    settings = replace(config.columns, turns="turns", speaker_separator=speaker)
    return replace(config, columns=settings), _blocks(table)


def _is_blank(row: TableRow) -> bool:
    return not isinstance(row.value, UserError) and not str(row.value[TEXT]).strip()


def _blocks(table: Iterator[TableRow]) -> Iterator[TableRow]:
    block: list[TableRow] = []
    number = 0
    for row in chain(table, (None,)):
        if row is not None and not _is_blank(row):
            block.append(row)
            continue
        if block:
            number += 1
            bad = next((line for line in block if isinstance(line.value, UserError)), None)
            lines = [line.value[TEXT] for line in block if not isinstance(line.value, UserError)]
            yield bad or TableRow(block[0].where, number, {"turns": lines})
        block = []
