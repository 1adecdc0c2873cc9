"""The paper's 6K Reddit multi-reference file: lines ``turn EOS turn<TAB>score|reference<TAB>score|reference...``.

The last column, which has the lowest score, is the human reply of the paper's table, and no reference.
"""

from __future__ import annotations

from collections.abc import Iterator

from dialoeval.config import DatasetConfig
from dialoeval.data.columns import ADVICE, gather
from dialoeval.data.content import content
from dialoeval.data.example import Dataset, Example
from dialoeval.data.sources.dstc7 import dialogue_turns, reference_text
from dialoeval.errors import UserError


def load(config: DatasetConfig) -> Dataset:
    """Read the examples in file order, with the line number as id. Blank lines are skipped.

    Raises:
        UserError: the file does not exist, or a line has no dialogue or no references.
    """
    path = config.path
    if not path:
        raise UserError("dataset.path must be set: add dataset.path=FILE (test.refs.txt)")
    skipped: list[tuple[str, str]] = []

    def examples() -> Iterator[tuple[str, Example]]:
        for number, line in content(path).text_lines():
            if not line:
                continue
            where = f"{path}, line {number}"
            dialogue, *cells = line.split("\t")
            turns = dialogue_turns(dialogue)
            if turns and len(cells) > 1:
                yield where, Example(str(number), turns, tuple(map(reference_text, cells[:-1])))
                continue
            problem = "the first field, the dialogue, is empty"
            if turns:
                problem = "no references" + (" besides the human reply, the last column" if cells else "")
            if not config.skip_bad:
                raise UserError(f"{where}: {problem}{ADVICE}")
            skipped.append((where, problem))

    return gather(config, examples(), skipped)


def human_replies(config: DatasetConfig) -> dict[str, str]:
    """Return {id: last column}, the human reply of the paper's table, of lines with references.

    Raises:
        UserError: the file does not exist.
    """
    if not config.path:
        raise UserError("dataset.path must be set: add dataset.path=FILE (test.refs.txt)")
    lines = ((str(number), line.split("\t")) for number, line in content(config.path).text_lines())
    return {number: reference_text(cells[-1]) for number, cells in lines if len(cells) > 2}
