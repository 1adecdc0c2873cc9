"""The reference files of DSTC-7 Task 2: ``id<TAB>score|reference<TAB>score|reference...``, or their JSON-lines form.

``dataset.path`` is a reference file (``test.refs.txt``), or a folder that holds ``test.refs.txt`` or
``references.jsonl``, and optionally the dialogues: ``test.convos.txt`` (written by the task's data extraction, with the
tab-separated fields id, subreddit, conversation, score, turn, dialogue, response), or ``contexts.jsonl`` with a list
``context``. Without dialogues the contexts are empty, which is enough to score replies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from dialoeval.config import DatasetConfig
from dialoeval.data.columns import ADVICE, gather
from dialoeval.data.content import content
from dialoeval.data.example import Dataset, Example
from dialoeval.data.rows import ReferenceRow, read_reference_rows, text_field, texts_field
from dialoeval.errors import UserError
from dialoeval.files import read_jsonl

SCORED = re.compile(r"-?\d+(?:\.\d+)?\|")  # a cell "score|text"
TURN_END = " EOS "  # between the turns of a dialogue, in both of the paper's data sets
START = "START"  # first turn of a dialogue that begins at the thread's title


def load(config: DatasetConfig) -> Dataset:
    """Read the examples sorted by id, as in the official scripts, with their references in file order.

    Empty references are kept because the protocol counts positions (index 1 is the held-out human reply).

    Raises:
        UserError: a line is malformed or its id has no dialogue; the message names file and line.
    """
    references_file, contexts_file = _files(config)
    skipped: list[tuple[str, str]] = []
    contexts = dict(_contexts(contexts_file)) if contexts_file else {}

    def examples() -> Iterator[tuple[str, Example]]:
        examples_by_line = []
        for row in _reference_rows(references_file):
            problem = None
            if not row.key:
                problem = "the first field, the id, is empty"
            elif not row.references:
                problem = f"the id {row.key} has no references"
            elif contexts_file and row.key not in contexts:
                problem = f"the id {row.key} has no dialogue in {contexts_file}"
            if problem is None:
                example = Example(row.key, contexts.get(row.key, ()), row.references)
                examples_by_line.append((row.where, example))
            elif config.skip_bad:
                skipped.append((row.where, problem))
            else:
                raise UserError(f"{row.where}: {problem}{ADVICE}")
        yield from sorted(examples_by_line, key=lambda pair: pair[1].id)

    return gather(config, examples(), skipped)


def reference_text(cell: str) -> str:
    """Return the text of ``score|reference``, or the whole cell if it does not begin with a score.

    The text ends at the second bar, as in the official scripts, which split the cell at bars.
    """
    return cell.split("|")[1] if SCORED.match(cell) else cell


def dialogue_turns(text: str) -> tuple[str, ...]:
    """Split ``turn EOS turn`` into its turns, without a leading ``START``.

    Training weights ("1.0 ", "0.0 "), which DialoGPT's extraction writes before each turn, are removed if every turn
    has one.
    """
    turns = [turn.strip() for turn in text.split(TURN_END)]
    if turns[0] == START:
        del turns[0]
    if turns and all(turn.startswith(("0.0 ", "1.0 ")) for turn in turns):
        turns = [turn[4:] for turn in turns]
    return tuple(turn for turn in turns if turn)


def _files(config: DatasetConfig) -> tuple[Path, Path | None]:
    if not config.path:
        raise UserError("dataset.path must be set: add dataset.path=FILE (test.refs.txt) or its folder")
    path = Path(config.path).expanduser()
    if not path.is_dir():
        return path, None
    references = first_file(path, f"{config.split}.refs.txt", "references.jsonl")
    if references is None:
        raise UserError(f"{path} holds neither {config.split}.refs.txt nor references.jsonl")
    return references, first_file(path, f"{config.split}.convos.txt", "contexts.jsonl")


def first_file(folder: Path, *names: str) -> Path | None:
    """Return the first of these files that exists in the folder, or None if none does."""
    return next((folder / name for name in names if (folder / name).is_file()), None)


def read_conversations(path: Path) -> Iterator[list[str]]:
    """Yield the seven fields of each line of a conversation file: id first, dialogue sixth, reply last.

    Raises:
        UserError: a line has another number of fields; the message names file and line.
    """
    for number, line in content(path).text_lines():
        if line:
            fields = line.split("\t")
            if len(fields) != 7:
                raise UserError(f"{path}, line {number}: expected 7 tab-separated fields, found {len(fields)}")
            yield fields


def _reference_rows(path: Path) -> Iterator[ReferenceRow]:
    if path.suffix == ".jsonl":
        yield from read_reference_rows(path, strict=True)
        return
    for number, line in content(path).text_lines():
        if line:
            key, *cells = line.split("\t")
            yield ReferenceRow(f"{path}, line {number}", key.strip(), tuple(map(reference_text, cells)))


def _contexts(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (id, turns) of each dialogue."""
    if path.suffix != ".jsonl":
        for fields in read_conversations(path):
            yield fields[0].strip(), dialogue_turns(fields[5])
        return
    for number, row in read_jsonl(path):
        where = f"{path}, line {number}"
        # The public release has the grounding text only.
        turns = texts_field(row, "context", where) if "context" in row else ()
        yield text_field(row, "id", where), turns
