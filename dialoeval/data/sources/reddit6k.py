"""The paper's 6K Reddit multi-reference file: ``turn EOS turn<TAB>score|reference<TAB>score|reference...`` a line."""

from __future__ import annotations

from collections.abc import Iterator

from dialoeval.config import DatasetConfig
from dialoeval.data.columns import ADVICE, gather, last_turns
from dialoeval.data.example import Dataset, Example
from dialoeval.data.sources.dstc7 import dialogue_turns, reference_text
from dialoeval.errors import UserError
from dialoeval.files import read_lines


def load(config: DatasetConfig) -> Dataset:
    """The examples in file order; the id is the line number, since the file has none. Blank lines are passed over.

    Raises:
        UserError: no such file, or a line without a dialogue or without references.
    """
    if not config.path:
        raise UserError("dataset.path must be set: add dataset.path=FILE (test.refs.txt)")
    skipped: list[tuple[str, str]] = []

    def examples() -> Iterator[tuple[str, Example]]:
        for number, line in read_lines(config.path):
            if not line:
                continue
            source, *cells = line.split("\t")
            turns = dialogue_turns(source)
            where = f"{config.path}, line {number}"
            problem = "the first field, the dialogue, is empty" if not turns else "no references" if not cells else None
            if problem is None:
                example = Example(str(number), turns, tuple(map(reference_text, cells)))
                yield where, last_turns(example, config.context_turns)
            elif config.skip_bad:
                skipped.append((where, problem))
            else:
                raise UserError(f"{where}: {problem}{ADVICE}")

    return gather(config, examples(), skipped)
