"""The training file of DialoGPT: ``[keys<TAB>]0.0 turn EOS 1.0 turn<TAB>1.0 reply``; weights are no text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from dialoeval.config import DatasetConfig
from dialoeval.data.columns import ADVICE, gather_counted, last_turns
from dialoeval.data.content import content
from dialoeval.data.example import Dataset, Example, WeightedDialogue
from dialoeval.data.sources.dstc7 import START, TURN_END
from dialoeval.data.sources.file import paths
from dialoeval.errors import UserError

_WEIGHT = re.compile(r"([01](?:\.\d+)?) (.*)", re.DOTALL)


def load(config: DatasetConfig) -> Dataset:
    """Read an example a line, with the line number as id. A reply of weight 0, which training leaves out, is kept.

    Raises:
        UserError: a line has not two columns (three with keys), or some turns a weight and others none; the message
            names file and line.
    """
    return gather_counted(config, "DialoGPT's training file", _examples)


def weighted_dialogues(config: DatasetConfig, counts: Counter[str]) -> list[WeightedDialogue]:
    """Read a dialogue a line as the published training preparation does (DialoGPT, prepro.py).

    Any number at the beginning of a turn is its weight; without one it is 1. A reply of weight 0 is dropped, and a line
    with a turn that has neither weight nor text is left out. A turn of a weight alone is a turn without words.

    Raises:
        UserError: a line has not two columns (three with keys); the message names file and line.
    """
    dialogues: list[WeightedDialogue] = []
    skipped: list[tuple[str, str]] = []
    for _, where, line in _lines(config):
        if len(dialogues) == config.limit:
            break
        try:
            text = _without_keys(line)
        except UserError as error:
            _skip(config, where, error, skipped)
            continue
        if (dialogue := _dialogue(text, counts)) is not None:
            dialogues.append(dialogue)
    if skipped:
        counts["lines that cannot be read"] += len(skipped)
    return dialogues


def _dialogue(text: str, counts: Counter[str]) -> WeightedDialogue | None:
    """Return the dialogue of a context and a reply; None if a turn has neither weight nor text."""
    context, _, reply = text.strip().partition("\t")
    turns = [published_weight(turn) for turn in (*context.split(TURN_END), reply)]
    if not all(turns):
        counts["lines with an empty turn"] += 1
        return None
    weights, texts = zip(*(turn for turn in turns if turn), strict=True)
    if odd := sum(weight not in (0, 1) for weight in weights):
        counts["numbers other than 0 and 1 read as weights"] += odd
    if weights[-1] == 0:
        counts["replies of weight 0"] += 1
        weights, texts = weights[:-1], texts[:-1]
    return WeightedDialogue(texts, weights)


def published_weight(turn: str) -> tuple[float, str] | None:
    """Return the weight and the text of a turn: what Python reads as a number is a weight. None if there is nothing."""
    first, _, rest = " ".join(turn.split()).partition(" ")
    try:
        return float(first), rest
    except ValueError:
        return (1.0, f"{first} {rest}".strip()) if first else None


def _lines(config: DatasetConfig) -> Iterator[tuple[int, str, str]]:
    """Yield ``(number over all files, where, line)`` of each line that is not empty."""
    total = 0
    for path in paths(config):
        for number, line in content(path).text_lines():
            total += 1
            if line.strip():
                yield total, f"{path}, line {number}", line


def stream(config: DatasetConfig) -> Iterator[Example]:
    """Yield the examples of the lines without keeping them; with `skip_bad`, bad lines are left out."""
    for _, example in islice(_examples(config, Counter(), []), config.limit):
        yield last_turns(example, config.context_turns)


def _examples(
    config: DatasetConfig, counts: Counter[str], skipped: list[tuple[str, str]]
) -> Iterator[tuple[str, Example]]:
    for number, where, line in _lines(config):
        try:
            yield where, _example(str(number), line, counts)
        except UserError as error:
            _skip(config, where, error, skipped)


def _skip(config: DatasetConfig, where: str, error: UserError, skipped: list[tuple[str, str]]) -> None:
    if not config.skip_bad:
        raise UserError(f"{where}: {error}{ADVICE}") from error
    skipped.append((where, str(error)))


def _without_keys(line: str) -> str:
    """Return ``context<TAB>reply`` of a line, which may begin with the keys of the comments."""
    columns = line.split("\t")
    if len(columns) not in (2, 3):
        raise UserError(f"expected a context and a reply, separated by a tab; found {len(columns)} columns")
    return "\t".join(columns[-2:])


def _example(name: str, line: str, counts: Counter[str]) -> Example:
    context_text, _, reply_text = _without_keys(line).partition("\t")
    texts = [*context_text.split(TURN_END), reply_text]
    plain = not any(_WEIGHT.match(text.strip() + " ") for text in texts)  # a file without weights
    *turns, (weight, reply) = [("1.0", text.strip()) if plain else weighted(text) for text in texts]
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
