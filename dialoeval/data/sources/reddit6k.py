"""The paper's 6K Reddit multi-reference file: lines ``turn EOS turn<TAB>score|reference<TAB>score|reference...``.

The last column, which has the lowest score, is the human reply of the paper's table, and no reference: the Human row
and every other row are scored against the same references. It is kept apart as ``Example.human``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dialoeval.config import DatasetConfig
from dialoeval.data.columns import ADVICE, gather_counted
from dialoeval.data.content import content
from dialoeval.data.example import Dataset, Example
from dialoeval.data.sources.dstc7 import SCORED, dialogue_turns, reference_text
from dialoeval.errors import UserError

APART = "human replies (the last column) kept apart from the references"
EQUAL = "human replies that are also a reference of their line, and stay one"
UNORDERED = "lines whose last column, taken for the human reply, has not the lowest score"


@dataclass(frozen=True)
class ScoredLine:
    """What follows the dialogue on a line.

    Attributes:
        references: at least one, in file order.
        human: the text of the last column.
        ordered: no reference has a lower score than the human reply, as far as they have scores.
    """

    references: tuple[str, ...]
    human: str
    ordered: bool


def load(config: DatasetConfig) -> Dataset:
    """Read the examples in file order, with the line number as id. Blank lines are skipped.

    Raises:
        UserError: the file does not exist, or a line has no dialogue, no human reply, or no reference besides it.
    """
    return gather_counted(config, "reddit6k", _examples)


def scored_line(cells: Sequence[str], where: str) -> ScoredLine:
    """Split the cells after the dialogue into the references and the human reply.

    Raises:
        UserError: there are fewer than two, or one is empty.
    """
    texts = [reference_text(cell) for cell in cells]
    if len(texts) < 2:
        raise UserError(f"{where}: no references" + (" besides the human reply, the last column" if texts else ""))
    if not texts[-1].strip():
        raise UserError(f"{where}: the last column, the human reply, is empty")
    scores = [float(cell.split("|")[0]) if SCORED.match(cell) else None for cell in cells]
    lowest = min((score for score in scores if score is not None), default=None)
    return ScoredLine(tuple(texts[:-1]), texts[-1], scores[-1] in (None, lowest))


def _examples(
    config: DatasetConfig, counts: Counter[str], skipped: list[tuple[str, str]]
) -> Iterator[tuple[str, Example]]:
    if not config.path:
        raise UserError("dataset.path must be set: add dataset.path=FILE (test.refs.txt)")
    for number, text in content(config.path).text_lines():
        if not text:
            continue
        where = f"{config.path}, line {number}"
        try:
            example, line = _example(number, text, where)
        except UserError as error:
            if not config.skip_bad:
                raise UserError(f"{error}{ADVICE}") from error
            skipped.append((where, str(error).removeprefix(f"{where}: ")))
            continue
        odd = ((EQUAL, line.human in line.references), (UNORDERED, not line.ordered))
        counts.update([APART, *(what for what, is_so in odd if is_so)])
        yield where, example


def _example(number: int, text: str, where: str) -> tuple[Example, ScoredLine]:
    dialogue, *cells = text.split("\t")
    turns = dialogue_turns(dialogue)
    if not turns:
        raise UserError(f"{where}: the first field, the dialogue, is empty")
    line = scored_line(cells, where)
    if not all(reference.strip() for reference in line.references):
        raise UserError(f"{where}: a column is empty")
    return Example(str(number), turns, line.references, human=line.human), line
