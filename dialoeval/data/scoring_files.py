"""Reading hypotheses and references for `dialoeval score`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dialoeval.errors import UserError
from dialoeval.files import read_lines


@dataclass(frozen=True)
class Entry:
    """A reply, or the references of one: where it stands, its id (None in plain text), its text or texts."""

    where: str
    id: str | None
    text: str = ""
    references: tuple[str, ...] = ()
    context: tuple[str, ...] = ()


@dataclass
class System:
    """The replies of one system.

    Attributes:
        path: the file they stand in.
        replies: in file order.
        skipped: malformed lines that were passed over.
    """

    path: str
    replies: list[Entry] = field(default_factory=list)
    skipped: int = 0


@dataclass(frozen=True)
class Matched:
    """Replies with the references of each, and how many entries have no counterpart."""

    ids: list[str]
    replies: list[str]
    references: list[list[str]]
    contexts: list[tuple[str, ...]] | None
    without_entry: int = 0
    without_reply: int = 0


def read_systems(paths: Sequence[str], skip_bad: bool = False) -> dict[str, System]:
    """{system: its replies} of all hypothesis files; a system is named after its file, or by its "system" field.

    Raises:
        UserError: naming file, line and field of what is malformed, unless `skip_bad`.
    """
    systems: dict[str, System] = {}
    for path in paths:
        found, skipped = _read_replies(path, skip_bad)
        if not found:
            raise UserError(f"{path} has no replies")
        for own_name, replies in found.items():
            name = own_name or _name(path, paths)
            if name in systems:
                raise UserError(f"two systems are named {name!r} (in {systems[name].path} and {path}): rename a file")
            systems[name] = System(path, replies, skipped)
    return systems


def read_references(paths: Sequence[str], skip_bad: bool = False) -> tuple[list[Entry], int]:
    """(references of each example, malformed lines passed over): one JSON-lines or tab-separated file, or parallel text
    files.

    Raises:
        UserError: naming file, line and field of what is malformed, unless `skip_bad`.
    """
    skipped = 0
    if len(paths) == 1 and _is_jsonl(paths[0]):
        rows = _Rows(paths[0], skip_bad, _references_of)
        entries, skipped = list(rows), rows.skipped
    elif len(paths) == 1 and Path(paths[0]).suffix == ".tsv":
        entries = []
        for number, line in read_lines(paths[0]):
            name, *references = line.split("\t")
            if name:
                entries.append(Entry(f"{paths[0]}, line {number}", name, references=tuple(references)))
            elif skip_bad:
                skipped += 1
            else:
                raise UserError(f"{paths[0]}, line {number}: the first column, the id, is empty")
    else:
        entries = _parallel(paths)
    if not entries:
        raise UserError(f"{paths[0]} has no references")
    _refuse_duplicates(entries)
    return entries, skipped


def match(replies: Sequence[Entry], references: Sequence[Entry], skip_bad: bool = False) -> Matched:
    """Match by id where both have ids (in the order of the sorted ids, as the DSTC7 scripts do), else by line.

    Raises:
        UserError: a reply has no entry in the references or the other way round (unless `skip_bad`), the numbers
            differ, or only some have ids.
    """
    if not (_have_ids(replies) and _have_ids(references)):
        if len(replies) != len(references):
            raise UserError(
                f"{len(replies)} replies but {len(references)} lists of references, and not both have ids to match "
                f"them by (the last ones: {replies[-1].where}; {references[-1].where})"
            )
        ids = [reply.id or reference.id or str(i) for i, (reply, reference) in _numbered(replies, references)]
        return _matched(ids, replies, references)
    known = {entry.id: entry for entry in references}
    answered = {reply.id for reply in replies}
    missing = [reply for reply in replies if reply.id not in known]
    unanswered = [entry for entry in references if entry.id not in answered]
    if not skip_bad:
        for entries, what in ((missing, "is not in the references"), (unanswered, "has no reply")):
            if entries:
                raise UserError(
                    f"{entries[0].where}: the id {entries[0].id!r} {what} ({len(entries)} such); --skip-bad leaves "
                    "them out"
                )
    kept = sorted((reply for reply in replies if reply.id in known), key=lambda reply: reply.id)
    if not kept:
        raise UserError(f"no reply has an id that is in the references (the first: {replies[0].where})")
    ids = [reply.id for reply in kept]
    return _matched(ids, kept, [known[name] for name in ids], len(missing), len(unanswered))


def _matched(
    ids: list[str], replies: Sequence[Entry], references: Sequence[Entry], missing: int = 0, unanswered: int = 0
) -> Matched:
    contexts = [reply.context for reply in replies]
    return Matched(
        ids,
        [reply.text for reply in replies],
        [list(entry.references) for entry in references],
        contexts if any(contexts) else None,
        missing,
        unanswered,
    )


def _numbered(replies: Sequence[Entry], references: Sequence[Entry]) -> Iterator[tuple[int, tuple[Entry, Entry]]]:
    return enumerate(zip(replies, references, strict=True), 1)


def _have_ids(entries: Sequence[Entry]) -> bool:
    without = [entry for entry in entries if entry.id is None]
    if without and len(without) < len(entries):
        raise UserError(f'{without[0].where}: field "id" is missing, and other lines have one')
    return not without


class _Rows:
    """The entries of a JSON-lines file; malformed lines stop with an error, or are passed over and counted."""

    def __init__(self, path: str, skip_bad: bool, parse: Any) -> None:
        self.path, self.skip_bad, self.parse, self.skipped = path, skip_bad, parse, 0

    def __iter__(self) -> Iterator[Any]:
        for number, line in read_lines(self.path):
            if not line.strip():
                continue
            where = f"{self.path}, line {number}"
            try:
                yield self.parse(_object(line, where), where)
            except UserError:
                if not self.skip_bad:
                    raise
                self.skipped += 1


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{where}: not JSON: {getattr(error, 'msg', error)}") from error
    if not isinstance(row, dict):
        raise UserError(f"{where}: expected a JSON object, found {type(row).__name__}")
    return row


def _read_replies(path: str, skip_bad: bool) -> tuple[dict[str | None, list[Entry]], int]:
    if not _is_jsonl(path):
        lines = [Entry(f"{path}, line {number}", None, line) for number, line in read_lines(path)]
        return ({None: lines} if lines else {}), 0
    rows = _Rows(path, skip_bad, _reply_of)
    systems: dict[str | None, list[Entry]] = {}
    for system, entry in rows:
        systems.setdefault(system, []).append(entry)
    for replies in systems.values():
        _refuse_duplicates(replies)
    return systems, rows.skipped


def _reply_of(row: dict[str, Any], where: str) -> tuple[str | None, Entry]:
    reply, system, context = row.get("reply"), row.get("system"), row.get("context")
    if not isinstance(reply, str):
        raise UserError(f'{where}: field "reply" must be a string')
    if system is not None and not isinstance(system, str):
        raise UserError(f'{where}: field "system" must be a string')
    turns = [context] if isinstance(context, str) else context or []
    if not isinstance(turns, list) or not all(isinstance(turn, str) for turn in turns):
        raise UserError(f'{where}: field "context" must be a list of strings')
    return system, Entry(where, _id_of(row, where), reply, context=tuple(turns))


def _references_of(row: dict[str, Any], where: str) -> Entry:
    references = row.get("references")
    if isinstance(references, str):
        references = [references]
    if not isinstance(references, list) or not all(isinstance(reference, str) for reference in references):
        raise UserError(f'{where}: field "references" must be a list of strings')
    return Entry(where, _id_of(row, where), references=tuple(references))


def _parallel(paths: Sequence[str]) -> list[Entry]:
    columns = [[line for _, line in read_lines(path)] for path in paths]
    for path, column in zip(paths, columns, strict=True):
        if len(column) != len(columns[0]):
            raise UserError(
                f"parallel reference files differ in length: {paths[0]} has {len(columns[0])} lines, {path} has "
                f"{len(column)}"
            )
    return [
        Entry(f"{paths[0]}, line {number}", None, references=row)
        for number, row in enumerate(zip(*columns, strict=True), 1)
    ]


def _id_of(row: dict[str, Any], where: str) -> str | None:
    name = row.get("id")
    if isinstance(name, bool) or (name is not None and not isinstance(name, str | int)):
        raise UserError(f'{where}: field "id" must be a string or a whole number')
    return None if name is None else str(name)


def _refuse_duplicates(entries: Sequence[Entry]) -> None:
    seen: dict[str, str] = {}
    for entry in entries:
        if entry.id is None:
            continue
        if entry.id in seen:
            raise UserError(f'{entry.where}: field "id": {entry.id!r} stands twice (first in {seen[entry.id]})')
        seen[entry.id] = entry.where


def _is_jsonl(path: str) -> bool:
    return Path(path).suffix in (".jsonl", ".ndjson", ".json")


def _name(path: str, paths: Sequence[str]) -> str:
    """The file's name without its end; the folder's name where that is not enough (runs' replies.jsonl)."""
    stem = Path(path).stem
    if [Path(other).stem for other in paths].count(stem) > 1 or stem == "replies":
        return Path(path).resolve().parent.name
    return stem
