"""The Chit-Chat Challenge conversations: open-domain English dialogues between two people.

The 7,168 conversations are read from the installed PyPI package ``chitchat-dataset`` (BYU Perception, Control and
Cognition Lab, MIT licence). This project contains no copy of them.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

from dialoeval.config import DatasetConfig
from dialoeval.data.example import Dataset, Example, fingerprint
from dialoeval.data.pairs import Pair
from dialoeval.errors import UserError, nearest

HAS_SPLITS = True
# Percentage of the conversations in each split. A hash of its id assigns a conversation to a split.
SPLITS = {"test": 4, "validation": 2, "train": 94}


def load(config: DatasetConfig) -> Dataset:
    """Read every reply of a split as an example, with the last `context_turns` turns before it as its context.

    Contexts that differ only in case and white space are one example. Its references are the distinct replies (compared
    the same way), in the order of the data. Examples are sorted by a hash of their id, so that the first N are a random
    sample of all conversations.

    Raises:
        UserError: the split is unknown, or the package is not installed.
    """
    replies: dict[tuple[str, ...], tuple[str, tuple[str, ...], dict[str, str]]] = {}
    for conversation, turns in conversations(config.split):
        for index in range(1, len(turns)):
            context = turns[max(0, index - config.context_turns) if config.context_turns else 0 : index]
            key = tuple(map(_normal, context))
            _, _, references = replies.setdefault(key, (f"{conversation}:{index}", context, {}))
            references.setdefault(_normal(turns[index]), turns[index])
    examples = sorted(
        (Example(name, context, tuple(references.values())) for name, context, references in replies.values()),
        key=lambda example: _hash(example.id),
    )[: config.limit]
    return Dataset(config.name, tuple(examples), fingerprint(examples))


def dialogues(config: DatasetConfig) -> list[tuple[str, ...]]:
    """Read the turns of each conversation of a split that has at least two turns."""
    return [turns for _, turns in conversations(config.split) if len(turns) > 1][: config.limit]


def pairs(config: DatasetConfig) -> Iterator[Pair]:
    """Yield every reply of a split's conversations, in the package's order; `load` merges equal contexts instead."""
    last = config.context_turns
    for name, turns in conversations(config.split)[: config.limit]:
        for i in range(1, len(turns)):
            yield Pair(name, turns[max(0, i - last) if last else 0 : i], turns[i])


def conversations(split: str) -> list[tuple[str, tuple[str, ...]]]:
    """Read (id, turns) of each conversation of a split, in the package's order.

    A turn is all messages that one person wrote before the other answered, joined by single spaces.

    Raises:
        UserError: the split is unknown, or the package is not installed.
    """
    if split not in SPLITS:
        raise UserError(f"chitchat has no split {split!r}{nearest(split, SPLITS)} (it has: {', '.join(SPLITS)})")
    with open(_data_file(), encoding="utf-8") as stream:
        raw = json.load(stream)
    return [(name, _turns(entry["messages"])) for name, entry in raw.items() if _split_of(name) == split]


def _turns(groups: list[list[dict[str, str]]]) -> tuple[str, ...]:
    turns: list[str] = []
    speaker = None
    for message in (message for group in groups for message in group):
        text = " ".join(message["text"].split())
        if not text:
            continue
        if message["sender"] == speaker:
            turns[-1] += " " + text
        else:
            turns.append(text)
            speaker = message["sender"]
    return tuple(turns)


def _split_of(conversation: str) -> str:
    bucket = _hash(conversation) % 100
    for split, percent in SPLITS.items():
        bucket -= percent
        if bucket < 0:
            return split
    raise AssertionError("the percentages add up to 100")


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _normal(text: str) -> str:
    return " ".join(text.lower().split())


def _data_file() -> Path:
    spec = importlib.util.find_spec("chitchat_dataset")
    if spec is None or spec.origin is None:
        raise UserError("the dataset chitchat needs the package chitchat-dataset: pip install chitchat-dataset==0.9.0")
    return Path(spec.origin).parent / "dataset.json"
