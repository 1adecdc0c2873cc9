"""Replies of DSTC-7 Task 2 systems: the public human-evaluation release, or submissions in the task's own format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dialoeval.config import DatasetConfig
from dialoeval.data.rows import read_hypothesis_rows
from dialoeval.data.sources import dstc7
from dialoeval.errors import UserError
from dialoeval.files import read_lines

HUMAN = "Human"
HUMAN_REFERENCE = 1  # index of the human reply among the references
UNDISCLOSED = "__UNDISCLOSED__"  # replaces the reply in the test file that the organisers released
_KEY_FILES = ("test.2k.txt", "keys/test.2k.txt")


@dataclass(frozen=True)
class SystemReplies:
    """The replies of one system that have references, sorted by id as in the official scripts.

    Attributes:
        name: the system.
        ids: (n,) example ids, sorted.
        replies: (n,) texts.
        references: for each reply, all its references in file order.
        left_out: number of replies without references, which cannot be scored.
        source: file that the replies come from.
    """

    name: str
    ids: list[str]
    replies: list[str]
    references: list[list[str]]
    left_out: int
    source: str


def read_release(folder: Path) -> list[SystemReplies]:
    """Read the replies of all systems in a folder.

    The folder has one of two layouts. JSON lines: ``references.jsonl`` (``{"id", "references"}``) and
    ``replies.jsonl`` (``{"system", "id", "reply"}``). Or the task's own files: ``test.refs`` or ``test.refs.txt``, and
    for each system ``<system>.convos.txt`` (seven tab-separated fields; the first is the id, the last the reply). In
    the second layout the human replies come from the references, and ``test.2k.txt``, if present, lists the ids to
    score.

    Raises:
        UserError: the folder has neither layout, or a line is malformed (naming file, line and field).
    """
    references_file = dstc7.first_file(folder, "references.jsonl", "test.refs.txt", "test.refs")
    if references_file is None:
        raise UserError(f"{folder} holds neither references.jsonl nor test.refs.txt of DSTC-7 Task 2")
    config = DatasetConfig(name="dstc7", kind="dstc7", path=str(references_file))
    references = {example.id: list(example.references) for example in dstc7.load(config).examples}
    if (folder / "replies.jsonl").is_file():
        systems = _from_jsonl(folder / "replies.jsonl")
        return [_system(name, replies, references, "replies.jsonl") for name, replies in systems.items()]
    if keys := dstc7.first_file(folder, *_KEY_FILES):
        scored_ids = {line.strip() for _, line in read_lines(keys)}
        references = {key: texts for key, texts in references.items() if key in scored_ids}
    human = {key: texts[HUMAN_REFERENCE] for key, texts in references.items() if len(texts) > HUMAN_REFERENCE}
    systems = {HUMAN: human}
    sources = {HUMAN: f"index {HUMAN_REFERENCE} of {references_file.name}"}
    for file in sorted(folder.glob("*.convos.txt")):
        name = file.name.removesuffix(".convos.txt")
        systems[name], sources[name] = _submission(file), file.name
    return [_system(name, replies, references, sources[name]) for name, replies in systems.items() if replies]


def _system(name: str, replies: dict[str, str], references: dict[str, list[str]], source: str) -> SystemReplies:
    ids = sorted(key for key in replies if key in references)
    if not ids:
        raise UserError(f"{source}: none of the {len(replies)} ids of system {name!r} has references")
    lists = [references[key] for key in ids]
    return SystemReplies(name, ids, [replies[key] for key in ids], lists, len(replies) - len(ids), source)


def _from_jsonl(file: Path) -> dict[str, dict[str, str]]:
    """Return {system: {id: reply}}."""
    systems: dict[str, dict[str, str]] = {}
    for row in read_hypothesis_rows(file):
        if row.system is None:
            raise UserError(f'{row.where}: field "system" is missing: every reply needs one')
        replies = systems.setdefault(row.system, {})
        if row.key in replies:
            raise UserError(f"{row.where}: {row.system!r} has a second reply to {row.key!r}")
        replies[row.key] = row.reply
    return systems


def _submission(file: Path) -> dict[str, str]:
    """Return {id: reply} of one system."""
    rows = dstc7.read_conversations(file)
    return {key.strip(): reply for key, *_, reply in rows if reply != UNDISCLOSED}
