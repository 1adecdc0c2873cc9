"""Replies of DSTC-7 Task 2 systems: the public human-evaluation release, or submissions in the task's own format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dialoeval.config import DatasetConfig
from dialoeval.data.sources import dstc7
from dialoeval.errors import UserError
from dialoeval.files import read_jsonl, read_lines

HUMAN = "Human"
HUMAN_REFERENCE = 1  # place of the human reply among the references
UNDISCLOSED = "__UNDISCLOSED__"  # stands for the reply in the test file that the organisers gave out
_KEY_FILES = ("test.2k.txt", "keys/test.2k.txt")


@dataclass(frozen=True)
class System:
    """Replies of one system; `ids` are sorted, as the official scripts score them.

    Attributes:
        references: of each reply, all of them in file order.
        left_out: replies without references, which cannot be scored.
        source: the file they come from.
    """

    name: str
    ids: list[str]
    replies: list[str]
    references: list[list[str]]
    left_out: int
    source: str


def read_systems(folder: Path) -> list[System]:
    """All systems of a folder.

    Two layouts are read. JSON lines: ``references.jsonl`` (``{"id", "references"}``) and ``replies.jsonl``
    (``{"system", "id", "reply"}``). Or the task's own files: ``test.refs`` or ``test.refs.txt``, and a submission a
    system, ``<system>.convos.txt``: seven tab-separated fields, the first the id and the last the reply; with
    ``test.2k.txt`` only the ids in it are scored. There, the human replies are taken from the references.

    Raises:
        UserError: neither layout, or a malformed line.
    """
    references_file = _first(folder, "references.jsonl", "test.refs.txt", "test.refs")
    if references_file is None:
        raise UserError(f"{folder} holds neither references.jsonl nor test.refs.txt of DSTC-7 Task 2")
    config = DatasetConfig(name="dstc7", kind="dstc7", path=str(references_file))
    references = {example.id: list(example.references) for example in dstc7.load(config).examples}
    if (folder / "replies.jsonl").is_file():
        found = _from_jsonl(folder / "replies.jsonl")
    else:
        found = dict(_submissions(folder))
        if keys := _first(folder, *_KEY_FILES):
            wanted = {line.strip() for _, line in read_lines(keys)}
            references = {key: value for key, value in references.items() if key in wanted}
        said = {key: refs[HUMAN_REFERENCE] for key, refs in references.items() if len(refs) > HUMAN_REFERENCE}
        found = {HUMAN: (said, f"index {HUMAN_REFERENCE} of {references_file.name}"), **found}
    return [_system(name, replies, references, source) for name, (replies, source) in found.items() if replies]


def _system(name: str, replies: dict[str, str], references: dict[str, list[str]], source: str) -> System:
    ids = sorted(key for key in replies if key in references)
    if not ids:
        raise UserError(f"{source}: none of the {len(replies)} ids of system {name!r} has references")
    lists = [references[key] for key in ids]
    return System(name, ids, [replies[key] for key in ids], lists, len(replies) - len(ids), source)


def _from_jsonl(file: Path) -> dict[str, tuple[dict[str, str], str]]:
    systems: dict[str, tuple[dict[str, str], str]] = {}
    for number, row in read_jsonl(file):
        for field in ("system", "id", "reply"):
            if not isinstance(row.get(field), str):
                raise UserError(f'{file}, line {number}: field "{field}" must be a text')
        replies, _ = systems.setdefault(row["system"], ({}, file.name))
        if row["id"] in replies:
            raise UserError(f"{file}, line {number}: a second reply of {row['system']!r} to {row['id']!r}")
        replies[row["id"]] = row["reply"]
    return systems


def _submissions(folder: Path) -> Iterator[tuple[str, tuple[dict[str, str], str]]]:
    for file in sorted(folder.glob("*.convos.txt")):
        replies: dict[str, str] = {}
        for number, line in read_lines(file):
            if not line:
                continue
            fields = line.split("\t")
            if len(fields) != 7:
                raise UserError(f"{file}, line {number}: expected 7 tab-separated fields, found {len(fields)}")
            if fields[6] != UNDISCLOSED:
                replies[fields[0].strip()] = fields[6]
        yield file.name.removesuffix(".convos.txt"), (replies, file.name)


def _first(folder: Path, *names: str) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)
