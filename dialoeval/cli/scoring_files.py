"""Reading hypotheses and references for `dialoeval score`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dialoeval.errors import UserError
from dialoeval.files import read_jsonl, read_lines

Replies = list[tuple[str | None, str, str]]  # (id or None, reply, where it stands)
References = list[tuple[str | None, list[str]]]


def read_systems(paths: Sequence[str]) -> dict[str, Replies]:
    """{system: replies} of all hypothesis files; a system is named after its file, or its "system" field.

    Raises:
        UserError: naming file, line and field of what is malformed.
    """
    systems: dict[str, Replies] = {}
    for path in paths:
        found = _read_jsonl_replies(path) if _is_jsonl(path) else {None: _read_text_replies(path)}
        for system, replies in found.items():
            name = system or _name(path, paths)
            if name in systems:
                raise UserError(f"two systems are named {name!r}: rename one of the files")
            if not replies:
                raise UserError(f"{path} has no replies")
            systems[name] = replies
    return systems


def read_references(paths: Sequence[str]) -> References:
    """References of each example: one JSON-lines or tab-separated file, or parallel text files.

    Raises:
        UserError: naming file, line and field of what is malformed.
    """
    if len(paths) == 1 and _is_jsonl(paths[0]):
        references = _read_jsonl_references(paths[0])
    elif len(paths) == 1 and Path(paths[0]).suffix == ".tsv":
        references = [(line.split("\t")[0], line.split("\t")[1:]) for _, line in read_lines(paths[0])]
    else:
        columns = [[line for _, line in read_lines(path)] for path in paths]
        for path, column in zip(paths, columns, strict=True):
            if len(column) != len(columns[0]):
                raise UserError(
                    f"parallel reference files differ in length: {paths[0]} has {len(columns[0])} lines, {path} has "
                    f"{len(column)}"
                )
        references = [(None, list(row)) for row in zip(*columns, strict=True)]
    if not references:
        raise UserError(f"{paths[0]} has no references")
    _no_duplicates([name for name, _ in references if name is not None], paths[0])
    return references


def match(
    replies: Replies, references: References, skip_missing: bool = False
) -> tuple[list[str], list[str], list[list[str]], int]:
    """(ids, replies, references of each, replies left out): by id where both have ids (in sorted order, as the DSTC7
    scripts do), else by line.

    Raises:
        UserError: a reply has no entry in the references, or the counts differ.
    """
    by_id = all(name is not None for name, *_ in replies) and all(name is not None for name, _ in references)
    if not by_id:
        if len(replies) != len(references):
            raise UserError(
                f"{len(replies)} replies but {len(references)} lists of references, and not both have ids to match "
                f"them by (the last reply: {replies[-1][2]})"
            )
        ids = [name or str(i) for i, (name, *_) in enumerate(replies, 1)]
        return ids, [reply for _, reply, _ in replies], [refs for _, refs in references], 0
    known = dict(references)
    found, missing = [], []
    for name, reply, where in replies:
        (found if name in known else missing).append((name, reply, where))
    if missing and not skip_missing:
        raise UserError(
            f"{missing[0][2]}: the id {missing[0][0]!r} is not in the references ({len(missing)} such); --skip-bad "
            "leaves these replies out"
        )
    if not found:
        raise UserError("no reply has an id that is in the references")
    found.sort(key=lambda row: row[0])
    names = [name for name, *_ in found]
    return names, [reply for _, reply, _ in found], [known[name] for name in names], len(missing)


def _read_jsonl_replies(path: str) -> dict[str | None, Replies]:
    systems: dict[str | None, Replies] = {}
    seen: set[tuple[str | None, str | None]] = set()
    for number, row in read_jsonl(path):
        where = f"{path}, line {number}"
        reply = row.get("reply", row.get("hypothesis"))
        if not isinstance(reply, str):
            raise UserError(f'{where}: field "reply" must be a string')
        name = _id_of(row, where)
        system = row.get("system")
        if name is not None and (system, name) in seen:
            raise UserError(f'{where}: field "id": {name!r} stands twice')
        seen.add((system, name))
        systems.setdefault(system, []).append((name, reply, where))
    return systems


def _read_jsonl_references(path: str) -> References:
    references: References = []
    for number, row in read_jsonl(path):
        where = f"{path}, line {number}"
        lists = row.get("references")
        if isinstance(lists, str):
            lists = [lists]
        if not isinstance(lists, list) or not all(isinstance(reference, str) for reference in lists):
            raise UserError(f'{where}: field "references" must be a list of strings')
        references.append((_id_of(row, where), lists))
    return references


def _read_text_replies(path: str) -> Replies:
    return [(None, line, f"{path}, line {number}") for number, line in read_lines(path)]


def _id_of(row: dict, where: str) -> str | None:
    name = row.get("id")
    if name is not None and not isinstance(name, str | int):
        raise UserError(f'{where}: field "id" must be a string or a number')
    return None if name is None else str(name)


def _no_duplicates(names: list[str], path: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise UserError(f'{path}: field "id": {name!r} stands twice')
        seen.add(name)


def _is_jsonl(path: str) -> bool:
    return Path(path).suffix in (".jsonl", ".ndjson", ".json")


def _name(path: str, paths: Sequence[str]) -> str:
    """The file's name without its end; with the folder's where that is not enough (runs' replies.jsonl)."""
    stem = Path(path).stem
    if [Path(other).stem for other in paths].count(stem) > 1 or stem == "replies":
        return f"{Path(path).resolve().parent.name}"
    return stem
