"""The paper's 6K Reddit multi-reference file: lines ``turn EOS turn<TAB>score|reference<TAB>score|reference...``."""

from __future__ import annotations

from collections.abc import Iterator

from dialoeval.config import DatasetConfig
from dialoeval.data.columns import ADVICE, gather, last_turns
from dialoeval.data.example import Dataset, Example
from dialoeval.data.sources.dstc7 import dialogue_turns, reference_text
from dialoeval.errors import UserError
from dialoeval.files import read_lines


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
        for number, line in read_lines(path):
            if not line:
                continue
            where = f"{path}, line {number}"
            dialogue, *cells = line.split("\t")
            turns = dialogue_turns(dialogue)
            if turns and cells:
                example = Example(str(number), turns, tuple(map(reference_text, cells)))
                yield where, last_turns(example, config.context_turns)
                continue
            problem = "no references" if turns else "the first field, the dialogue, is empty"
            if not config.skip_bad:
                raise UserError(f"{where}: {problem}{ADVICE}")
            skipped.append((where, problem))

    return gather(config, examples(), skipped)
