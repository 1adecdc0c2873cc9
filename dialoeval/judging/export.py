"""judgments.jsonl and judgments.tsv: the judgments of a study, one a row, to read and to share."""

from __future__ import annotations

from pathlib import Path

from dialoeval.files import atomic_open, write_jsonl
from dialoeval.judging.items import Study
from dialoeval.judging.judgments import Judgment, Judgments
from dialoeval.judging.store import Store, comments, judgments

COLUMNS = (
    "item", "context", "first", "second", "judge", "question", "value", "shown_first", "seconds", "kind", "gold",
    "standing", "flags",
)  # fmt: skip


def export(study: Study) -> tuple[Judgments, list[Path]]:
    """Write judgments.jsonl and judgments.tsv, and comments.jsonl if there are comments; returns what was written.

    Raises:
        UserError: the database is damaged, or a file cannot be written.
    """
    read = judgments(study)
    files = [study.path / "judgments.jsonl", study.path / "judgments.tsv"]
    write_jsonl(files[0], (row.to_json() for row in read.rows))
    with atomic_open(files[1]) as stream:
        stream.write("\t".join(COLUMNS) + "\n")
        for row in read.rows:
            stream.write("\t".join(map(_cell, _columns(row))) + "\n")
    if study.database.is_file():
        store = Store(study, read_only=True)
        said = comments(store)
        store.close()
        if said:
            files.append(study.path / "comments.jsonl")
            write_jsonl(files[-1], said)
    return read, files


def _columns(row: Judgment) -> list[object]:
    first, *second = row.systems
    return [
        row.item, row.context, first, second[0] if second else None, row.judge, row.question, row.value,
        row.shown_first, row.seconds, row.kind, row.gold, row.standing, ",".join(row.flags),
    ]  # fmt: skip


def _cell(value: object) -> str:
    return "" if value is None else " ".join(str(value).split())
