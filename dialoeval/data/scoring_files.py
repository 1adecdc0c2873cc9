"""Hypotheses and references read from files of any system, and matched with each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dialoeval.data.rows import HypothesisRow, ReferenceRow, TextRow, read_hypothesis_rows, read_reference_rows
from dialoeval.errors import UserError
from dialoeval.files import read_lines


@dataclass(frozen=True)
class ScoredSystem:
    """The replies of one system.

    Attributes:
        path: file that holds them.
        replies: in file order.
        skipped: number of malformed lines in the file.
    """

    path: str
    replies: list[HypothesisRow]
    skipped: int


@dataclass(frozen=True)
class ScoringInput:
    """The replies of one system with the references of each.

    Attributes:
        ids: (n,) id of each reply, or its line number if neither file has ids.
        replies: (n,) hypotheses.
        references: for each reply, its references in file order.
        contexts: for each reply, its turns; or None if no reply has a context.
        without_entry: number of replies left out because their id is not in the references.
        without_reply: number of examples left out because they have no reply.
    """

    ids: list[str]
    replies: list[str]
    references: list[list[str]]
    contexts: list[tuple[str, ...]] | None
    without_entry: int = 0
    without_reply: int = 0


class UnmatchedIds(UserError):
    """An id without its counterpart in the other file; `skip_bad` leaves such ids out."""


def read_hypotheses(paths: Sequence[str], skip_bad: bool = False) -> dict[str, ScoredSystem]:
    """Read the replies of all systems: JSON lines, or plain text with one reply a line.

    Returns:
        {name: system}, where the name is the field ``system`` of its rows, or that of the file.

    Raises:
        UserError: a malformed row (naming file, line and field; `skip_bad` counts these instead), a file without
            replies, a duplicate id, or two systems with the same name.
    """
    systems: dict[str, ScoredSystem] = {}
    for path in paths:
        bad_rows: list[UserError] = []
        replies: dict[str, list[HypothesisRow]] = {}
        if _is_jsonl(path):
            for row in read_hypothesis_rows(path, bad_rows=bad_rows if skip_bad else None):
                replies.setdefault(row.system or "", []).append(row)
        elif lines := [HypothesisRow(f"{path}, line {number}", None, line) for number, line in read_lines(path)]:
            replies[""] = lines
        if not replies:
            raise UserError(f"{path} has no replies")
        for system, rows in replies.items():
            _refuse_duplicates(rows)
            name = system or _name(path, paths)
            if name in systems:
                raise UserError(f"two systems are named {name!r} (in {systems[name].path} and {path}): rename a file")
            systems[name] = ScoredSystem(path, rows, len(bad_rows))
    return systems


def read_references(paths: Sequence[str], skip_bad: bool = False) -> tuple[list[ReferenceRow], int]:
    """Read references from one JSON-lines file, one tab-separated file (id, references...), or parallel text files.

    Returns:
        (rows, one for each example; number of malformed lines skipped).

    Raises:
        UserError: a malformed row (naming file, line and field; `skip_bad` counts these instead), a duplicate id, a
            file without references, or parallel files of different lengths.
    """
    bad_rows: list[UserError] = []
    if len(paths) == 1 and _is_jsonl(paths[0]):
        rows = list(read_reference_rows(paths[0], bad_rows=bad_rows if skip_bad else None))
    elif len(paths) == 1 and Path(paths[0]).suffix == ".tsv":
        rows = []
        for number, line in read_lines(paths[0]):
            where = f"{paths[0]}, line {number}"
            name, *references = line.split("\t")
            if name:
                rows.append(ReferenceRow(where, name, tuple(references)))
                continue
            bad_rows.append(UserError(f"{where}: the first column, the id, is empty"))
            if not skip_bad:
                raise bad_rows[0]
    else:
        rows = _parallel(paths)
    if not rows:
        raise UserError(f"{paths[0]} has no references")
    _refuse_duplicates(rows)
    return rows, len(bad_rows)


def match(replies: Sequence[HypothesisRow], references: Sequence[ReferenceRow], skip_bad: bool = False) -> ScoringInput:
    """Match replies with references by id if both files have ids, else by line.

    Matched by id, the result is sorted by id, as in the DSTC7 scripts.

    Raises:
        UnmatchedIds: an id occurs in one file only, and `skip_bad` is not set.
        UserError: without ids, the numbers of lines differ; or only a part of the rows has ids.
    """
    if not (_have_ids(replies) and _have_ids(references)):
        if len(replies) != len(references):
            raise UserError(
                f"{len(replies)} replies but {len(references)} lists of references, and not both files have ids to "
                f"match them by (last rows: {replies[-1].where}; {references[-1].where})"
            )
        pairs = list(zip(replies, references, strict=True))
        ids = [reply.id or reference.id or str(number) for number, (reply, reference) in enumerate(pairs, 1)]
        return _scoring_input(ids, pairs)
    by_id = {row.key: row for row in references}
    answered = {reply.key for reply in replies}
    without_entry = [reply for reply in replies if reply.key not in by_id]
    without_reply = [row for row in references if row.key not in answered]
    if not skip_bad:
        _refuse_unmatched(without_entry, "is not in the references")
        _refuse_unmatched(without_reply, "has no reply")
    scored = sorted((reply for reply in replies if reply.key in by_id), key=lambda reply: reply.key)
    if not scored:
        raise UserError(f"none of the reply ids is in the references (first reply: {replies[0].where})")
    pairs = [(reply, by_id[reply.key]) for reply in scored]
    return _scoring_input([reply.key for reply in scored], pairs, len(without_entry), len(without_reply))


def _scoring_input(
    ids: list[str], pairs: Sequence[tuple[HypothesisRow, ReferenceRow]], without_entry: int = 0, without_reply: int = 0
) -> ScoringInput:
    contexts = [reply.context for reply, _ in pairs]
    return ScoringInput(
        ids,
        [reply.reply for reply, _ in pairs],
        [list(row.references) for _, row in pairs],
        contexts if any(contexts) else None,
        without_entry,
        without_reply,
    )


def _have_ids(rows: Sequence[TextRow]) -> bool:
    without_id = [row for row in rows if row.id is None]
    if without_id and len(without_id) < len(rows):
        raise UserError(f'{without_id[0].where}: field "id" is missing, but other lines have it')
    return not without_id


def _refuse_unmatched(rows: Sequence[TextRow], fault: str) -> None:
    if rows:
        raise UnmatchedIds(f"{rows[0].where}: the id {rows[0].id!r} {fault} ({len(rows)} in all)")


def _refuse_duplicates(rows: Sequence[TextRow]) -> None:
    first_where: dict[str, str] = {}
    for row in rows:
        if row.id is None:
            continue
        if row.id in first_where:
            raise UserError(f'{row.where}: field "id": duplicate id {row.id!r} (first at {first_where[row.id]})')
        first_where[row.id] = row.where


def _parallel(paths: Sequence[str]) -> list[ReferenceRow]:
    columns = [[line for _, line in read_lines(path)] for path in paths]
    for path, column in zip(paths, columns, strict=True):
        if len(column) != len(columns[0]):
            raise UserError(
                f"parallel reference files differ in length: {paths[0]} has {len(columns[0])} lines, {path} has "
                f"{len(column)}"
            )
    return [
        ReferenceRow(f"{paths[0]}, line {number}", None, references)
        for number, references in enumerate(zip(*columns, strict=True), 1)
    ]


def _is_jsonl(path: str) -> bool:
    return Path(path).suffix in (".jsonl", ".ndjson", ".json")


def _name(path: str, paths: Sequence[str]) -> str:
    """Return the file's stem, or its folder's name if several files share the stem (``replies.jsonl`` of runs)."""
    stem = Path(path).stem
    if [Path(other).stem for other in paths].count(stem) > 1 or stem == "replies":
        return Path(path).resolve().parent.name
    return stem
