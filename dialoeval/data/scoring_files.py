"""Hypotheses and references read from files of any system, and matched with each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from dialoeval.data.content import STDIN
from dialoeval.data.example import HUMAN_APART
from dialoeval.data.rows import HypothesisRow, ReferenceRow, TextRow
from dialoeval.data.scoring_fields import FieldMap
from dialoeval.data.scoring_tables import (
    Layout,
    Row,
    ScoringFile,
    context_side,
    hypothesis_side,
    read_file,
    reference_side,
)
from dialoeval.errors import UserError

_ENDINGS = (".gz", ".zst", ".bz2", ".xz")


class Samples(StrEnum):
    """What several replies of one system to one context are."""

    refuse = "refuse"  # a mistake
    mean = "mean"  # samples of one system, whose figures are averaged
    systems = "systems"  # one system a sample


@dataclass(frozen=True)
class Reading:
    """How files are read.

    Attributes:
        fields: places of fields that the user named.
        skip_bad: leave malformed rows and unmatched ids out, and count them.
        samples: what several replies to one context are.
        keep_empty: an empty reference is a reference.
        positional: the protocol counts the positions of references, so that an empty one keeps its place.
    """

    fields: FieldMap = field(default_factory=FieldMap)
    skip_bad: bool = False
    samples: Samples = Samples.refuse
    keep_empty: bool = False
    positional: bool = False


@dataclass(frozen=True)
class ScoredSystem:
    """The replies of one system.

    Attributes:
        path: file that holds them.
        sha256: of the bytes that were read.
        samples: the replies in file order; several lists if each context has several samples.
        skipped: number of malformed lines in the file.
    """

    path: str
    sha256: str
    samples: list[list[HypothesisRow]]
    skipped: int


@dataclass(frozen=True)
class ScoringFiles:
    """What the files of one call hold.

    Attributes:
        systems: {name: system}.
        references: one row for each example.
        references_sha256: of the bytes of each file of references.
        skipped: number of malformed lines of references.
        empty_dropped: number of empty references that were left out.
    """

    systems: dict[str, ScoredSystem]
    references: list[ReferenceRow]
    references_sha256: list[str]
    skipped: int
    empty_dropped: int

    @property
    def counts(self) -> dict[str, int]:
        """What was left out of the references."""
        apart = sum(row.human is not None for row in self.references)
        return {"empty_references_dropped": self.empty_dropped} | ({HUMAN_APART: apart} if apart else {})


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


def read(hypotheses: Sequence[str], references: Sequence[str], reading: Reading | None = None) -> ScoringFiles:
    """Read replies and references, each file once, in any format that its content tells.

    Raises:
        UserError: a file cannot be read or told, a malformed row (naming file, line and field), a duplicate id, or two
            systems with the same name.
    """
    reading = reading or Reading()
    if [*hypotheses, *references].count(STDIN) > 1:
        raise UserError("standard input (-) can be read once only: give the other side as a file")
    replies = [read_file(path, hypothesis_side(reading.fields), reading.skip_bad) for path in hypotheses]
    lists = [read_file(path, reference_side(reading.fields), reading.skip_bad) for path in references]
    reply_files = [_decided(file, lists, reading.skip_bad) for file in replies]
    list_files = [_decided(file, replies, reading.skip_bad) for file in lists]
    rows = _merged(list_files)
    if not rows:
        raise UserError(f"{references[0]} has no references")
    _refuse_duplicates(rows)
    kept = rows if reading.keep_empty else [_without_empty(row, list_files[0].layout, reading) for row in rows]
    return ScoringFiles(
        _systems(reply_files, hypotheses, reading),
        kept,
        [file.content.sha256 for file in list_files],
        sum(len(file.bad) for file in list_files),
        sum(len(row.references) for row in rows) - sum(len(row.references) for row in kept),
    )


def read_contexts(path: str, references: Sequence[ReferenceRow], fields: FieldMap) -> list[tuple[str, ...]]:
    """Return the turns before each of these examples, oldest first, from any format that the content tells.

    Raises:
        UserError: the file cannot be read or told, or its rows do not fit the examples.
    """
    file = read_file(path, context_side(fields))
    known = {row.id for row in references}
    if file.with_ids is not None:
        file = file.decided(any(row.id in known for row in file.with_ids))
    if _have_ids(file.rows) and _have_ids(references):
        _refuse_duplicates(file.rows)
        turns = {row.key: row.references for row in file.rows}
        absent = next((row for row in references if row.key not in turns), None)
        if absent is not None:
            raise UserError(f"{absent.where}: the id {absent.id!r} has no context in {path}")
        return [turns[row.key] for row in references]
    if _have_ids(references) or len(file.rows) != len(references):
        raise UserError(
            f"{path} has {len(file.rows)} contexts for {len(references)} examples, and not both files have ids to "
            "match them by"
        )
    return [row.references for row in file.rows]


def match(
    replies: Sequence[HypothesisRow], references: Sequence[ReferenceRow], skip_bad: bool = False, skipped: int = 0
) -> ScoringInput:
    """Match replies with references by id if both files have ids, else by line.

    Matched by id, the result is sorted by id, as in the DSTC7 scripts.

    Args:
        replies: in file order.
        references: in file order.
        skip_bad: leave out ids that one side does not have.
        skipped: malformed lines of both files that are not among these; lines cannot be matched then.

    Raises:
        UnmatchedIds: an id occurs in one file only, and `skip_bad` is not set.
        UserError: without ids, the numbers of lines differ; or only a part of the rows has ids.
    """
    named = (_have_ids(replies), _have_ids(references))
    if not all(named):
        if skipped:
            raise UserError(
                f"{skipped} malformed lines were skipped, and not both files have ids: the other lines cannot be "
                "matched with each other; mend these lines, or give both files ids"
            )
        for rows, have in zip((replies, references), named, strict=True):
            if have:
                _refuse_other_order(rows)
        if len(replies) != len(references):
            raise UserError(
                f"{len(replies)} replies but {len(references)} lists of references, and not both files have ids to "
                f"match them by (last rows: {replies[-1].where}; {references[-1].where})"
            )
        pairs = list(zip(replies, references, strict=True))
        ids = [reply.id or reference.id or str(number) for number, (reply, reference) in enumerate(pairs, 1)]
        return _scoring_input(ids, pairs)
    _refuse_names(replies, references)
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


def _refuse_names(replies: Sequence[HypothesisRow], references: Sequence[ReferenceRow]) -> None:
    """Refuse first rows that look like the names of columns: the same id, where all others are numbers.

    Raises:
        UserError: naming both rows.
    """
    first, second = replies[0], references[0]
    others = [row.key for row in (*replies[1:], *references[1:])]
    if first.key == second.key and others and not first.key.isdecimal() and all(map(str.isdecimal, others)):
        raise UserError(
            f"{first.where} and {second.where} look like names of columns ({first.key}): name the columns in "
            f"--map, such as id={first.key}"
        )


def _refuse_other_order(rows: Sequence[TextRow]) -> None:
    """Refuse to match by line rows whose ids are the numbers of lines in another order.

    Raises:
        UserError: naming the first row that does not stand where its id says.
    """
    keys = [row.key for row in rows]
    if not all(key.isdecimal() for key in keys):
        return
    numbers = [int(key) for key in keys]
    ordered = sorted(numbers)
    if numbers != ordered and ordered[-1] - ordered[0] == len(rows) - 1:
        row = next(row for row, number, place in zip(rows, numbers, ordered, strict=True) if number != place)
        raise UserError(
            f"{row.where}: the id {row.key} is not in the order of the lines, and the other file has no ids to match "
            "it by: give both files ids, or bring the lines into one order"
        )


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


def _decided(file: ScoringFile[Row], others: Sequence[ScoringFile[Row]], skip_bad: bool) -> ScoringFile[Row]:
    """Tell from the other side's ids whether the first column of a table without names holds ids.

    Raises:
        UserError: it cannot be told.
    """
    if file.with_ids is None:
        return file
    mine = [str(row.id) for row in file.with_ids]
    known = {row.id for other in others for row in (other.with_ids or other.rows) if row.id is not None}
    shared = sum(key in known for key in mine)
    is_list, name = file.layout == Layout.lists, file.content.name
    if shared and 2 * shared >= min(len(mine), len(known)):
        if is_list:
            raise UserError(
                f"{name}: the first items of the lists are the other side's ids: name them, such as --map "
                "id=0,references=1"
            )
        return file.decided(True, skip_bad)
    if is_list or (file.rows and not known and _are_texts(mine)):
        return file.decided(False)
    numbers = [str(number) for number in range(len(mine) + 1)]
    if file.rows and not known and mine in (numbers[1:], numbers[:-1]):  # the numbers of the lines
        return file.decided(True, skip_bad)
    places = "id=0 (or --map references=0,references=1, if all are texts)" if file.rows else "id=0,reply=1"
    raise UserError(
        f"{name}: does the first column hold ids? The other side has no id {ascii(mine[0])[:60]}; say it with --map "
        f"{places}, or with a first line of column names"
    )


def _are_texts(cells: Sequence[str]) -> bool:
    """Return whether cells are texts for certain: most have several words, and they differ by more than numbers."""
    several = sum(len(cell.split()) > 1 for cell in cells)
    shapes = {re.sub(r"\d+", "0", cell) for cell in cells}
    return 2 * several >= len(cells) and (2 * len(shapes) > len(cells))


def _merged(files: Sequence[ScoringFile[ReferenceRow]]) -> list[ReferenceRow]:
    """Return the references of one file, of parallel text files, or of several files with ids."""
    first, *others = files
    if not others:
        return first.rows
    if all(file.layout == Layout.lines for file in files):
        return _parallel(files)
    by_id: dict[str, ReferenceRow] = {}
    for file in files:
        _refuse_duplicates(file.rows)
        for row in file.rows:
            if row.id is None:
                raise UserError(
                    f"{row.where}: the row has no id: several files of references are merged by id, unless all are "
                    "plain text of as many lines"
                )
            earlier = by_id.get(row.id)
            by_id[row.id] = row if earlier is None else replace(earlier, references=earlier.references + row.references)
    return list(by_id.values())


def _parallel(files: Sequence[ScoringFile[ReferenceRow]]) -> list[ReferenceRow]:
    first = files[0]
    for file in files:
        if len(file.rows) != len(first.rows):
            raise UserError(
                f"parallel reference files differ in length: {first.content.name} has {len(first.rows)} lines, "
                f"{file.content.name} has {len(file.rows)}"
            )
    return [
        replace(row, references=tuple(text for file in files for text in file.rows[i].references))
        for i, row in enumerate(first.rows)
    ]


def _without_empty(row: ReferenceRow, layout: Layout, reading: Reading) -> ReferenceRow:
    """Return a row without its empty references: blank lines, padded cells, empty strings of a list.

    Where positions count, lists keep theirs, and other files lose only what follows their last reference.
    """
    texts = list(row.references)
    if not reading.positional:
        texts = [text for text in texts if text.strip()]
    elif layout != Layout.lists:
        while len(texts) > 1 and not texts[-1].strip():
            del texts[-1]
    return replace(row, references=tuple(texts))


def _systems(
    files: Sequence[ScoringFile[HypothesisRow]], paths: Sequence[str], reading: Reading
) -> dict[str, ScoredSystem]:
    systems: dict[str, ScoredSystem] = {}
    for path, file in zip(paths, files, strict=True):
        replies: dict[str, list[HypothesisRow]] = {}
        for row in file.rows:
            replies.setdefault(row.system or "", []).append(row)
        if not replies:
            raise UserError(f"{path} has no replies")
        for system, rows in replies.items():
            samples, base = _samples(rows, reading.samples), system or _name(path, paths)
            apart = reading.samples == Samples.systems and len(samples) > 1
            named = {f"{base}#{i}": [sample] for i, sample in enumerate(samples, 1)} if apart else {base: samples}
            for name, lists in named.items():
                if name in systems:
                    earlier = systems[name].path
                    raise UserError(f"two systems are named {name!r} (in {earlier} and {path}): rename a file")
                systems[name] = ScoredSystem(path, file.content.sha256, lists, len(file.bad))
    return systems


def _samples(rows: list[HypothesisRow], choice: Samples) -> list[list[HypothesisRow]]:
    """Return the rows as one list, or as one list a sample if contexts have several replies.

    Raises:
        UserError: a context has several replies and `choice` does not say what they are, or not all have as many.
    """
    by_context: dict[str, list[HypothesisRow]] = {}
    for row in rows:
        by_context.setdefault(row.where if row.id is None else f"id {row.id}", []).append(row)
    if len(by_context) == len(rows):
        return [rows]
    groups = list(by_context.values())
    first, second = next(group for group in groups if len(group) > 1)[:2]
    if choice == Samples.refuse:
        fault = f"duplicate id {second.id!r} (first at {first.where})" if second.id is not None else "several replies"
        raise UserError(
            f'{second.where}: field "id": {fault}; if they are samples of one system, --samples mean averages their '
            "figures, and --samples systems scores each sample as a system"
        )
    if odd := next((group for group in groups if len(group) != len(groups[0])), None):
        raise UserError(
            f"{odd[0].where}: {len(odd)} samples, but {groups[0][0].where} has {len(groups[0])}: every context needs "
            "as many"
        )
    return [list(sample) for sample in zip(*groups, strict=True)]


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


def _name(path: str, paths: Sequence[str]) -> str:
    """Return the file's stem, or its folder's name if several files share the stem (``replies.jsonl`` of runs)."""
    name = stem(path)
    if [stem(other) for other in paths].count(name) > 1 or name == "replies":
        return Path(path).resolve().parent.name
    return name


def stem(path: str) -> str:
    """Return a file's name without its endings, those of a compression and of conversations too."""
    if path == STDIN:
        return "stdin"
    if path.startswith(("/dev/fd/", "/proc/self/fd/")):  # the shell's name of a pipe
        return f"pipe {Path(path).name}"
    name = path[: -len(Path(path).suffix)] if Path(path).suffix.lower() in _ENDINGS else path
    return Path(name).stem.removesuffix(".convos")
