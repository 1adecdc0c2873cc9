"""The training file of DialoGPT: ``0.0 turn EOS 1.0 turn<TAB>1.0 reply``; the weights are no part of the text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from dialoeval.config import DatasetConfig
from dialoeval.data.columns import ADVICE, gather_counted, last_turns
from dialoeval.data.content import content
from dialoeval.data.example import Dataset, Example
from dialoeval.data.sources.dstc7 import START, TURN_END
from dialoeval.data.sources.file import paths
from dialoeval.errors import UserError

_WEIGHT = re.compile(r"([01](?:\.\d+)?) (.*)", re.DOTALL)


def load(config: DatasetConfig) -> Dataset:
    """Read an example a line, with the line number as id. A reply of weight 0, which training leaves out, is kept.

    Raises:
        UserError: a line has not two columns, or a turn no weight; the message names file and line.
    """
    return gather_counted(config, "DialoGPT's training file", _examples)


def stream(config: DatasetConfig) -> Iterator[Example]:
    """Yield the examples of the lines without keeping them; with `skip_bad`, bad lines are left out."""
    for _, example in islice(_examples(config, Counter(), []), config.limit):
        yield last_turns(example, config.context_turns)


def _examples(
    config: DatasetConfig, counts: Counter[str], skipped: list[tuple[str, str]]
) -> Iterator[tuple[str, Example]]:
    total = 0
    for path in paths(config):
        for number, line in content(path).text_lines():
            total += 1
            if not line.strip():
                continue
            where = f"{path}, line {number}"
            try:
                yield where, _example(str(total), line, counts)
            except UserError as error:
                if not config.skip_bad:
                    raise UserError(f"{where}: {error}{ADVICE}") from error
                skipped.append((where, str(error)))


def _example(name: str, line: str, counts: Counter[str]) -> Example:
    columns = line.split("\t")
    if len(columns) != 2:
        raise UserError(f"expected a context and a reply, separated by a tab; found {len(columns)} columns")
    turns = [weighted(turn) for turn in columns[0].split(TURN_END)]
    weight, reply = weighted(columns[1])
    if float(weight) == 0:
        counts["replies of weight 0"] += 1
    context = tuple(text for i, (_, text) in enumerate(turns) if text and not (i == 0 and text == START))
    if not reply:
        raise UserError("the reply is empty")
    return Example(name, context, (reply,))


def weighted(turn: str) -> tuple[str, str]:
    """Return the weight and the text of ``1.0 text``.

    Raises:
        UserError: the turn has no weight.
    """
    if turn.strip() == START:
        return "0.0", START
    match = _WEIGHT.match(turn.strip() + ("" if " " in turn.strip() else " "))
    if match is None:
        raise UserError(f"the turn {turn.strip()[:40]!r} begins with no weight (0.0 or 1.0)")
    return match.group(1), match.group(2).strip()
