"""The training set that a baseline takes replies from, and what it must not share with the examples."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dialoeval import data
from dialoeval.config import DatasetConfig, effects
from dialoeval.config.schema import RetrieveBy
from dialoeval.data.example import Example
from dialoeval.data.pairs import Pair, conversation_of, last_turn
from dialoeval.errors import UserError
from dialoeval.files import dumps

WHERE = "model.baseline.settings"
_SETTINGS = "|".join(field.name for field in dataclasses.fields(DatasetConfig))


class TrainingSet:
    """Pairs of context and reply, numbered from 0: the documents.

    Args:
        config: of the dataset.
        pairs: its pairs, at least one.
    """

    def __init__(self, config: DatasetConfig, pairs: Sequence[Pair]) -> None:
        self.config, self.name, self.pairs = config, config.name, pairs
        self.fingerprint = _fingerprint(pairs)
        self._of_conversation: dict[str, list[int]] = {}
        for number, pair in enumerate(pairs):
            self._of_conversation.setdefault(pair.conversation, []).append(number)

    def documents(self, by: RetrieveBy) -> list[str]:
        """Return the text of each document that a query is compared with."""
        return [pair.reply if by == RetrieveBy.reply else pair.last_turn for pair in self.pairs]

    def own_documents(self, example_id: str) -> Sequence[int]:
        """Return the numbers of the documents of an example's own conversation, in order: they are left out.

        Raises:
            UserError: no other document is left.
        """
        conversation = conversation_of(example_id)
        own = self._of_conversation.get(conversation, ())
        if len(own) == len(self.pairs):
            raise UserError(
                f"the training set {self.name} has the conversation {conversation} alone, whose replies are left out "
                f"for the example {example_id}: name another with model.baseline.dataset=OPTION"
            )
        return own

    def equal_context(self, document: int, context: Sequence[str]) -> bool:
        """Return whether a document's context ends in all the turns of a context, but for case and white space."""
        theirs = self.pairs[document].context[-len(context) :] if context else ()
        return bool(context) and list(map(_plain, theirs)) == list(map(_plain, context))

    def check_apart(self, dataset: DatasetConfig, examples: Iterable[Example]) -> None:
        """Check that the training set is not the test set: not the same data, and not contained in the examples.

        Raises:
            UserError: it is.
        """
        same = _place(self.config) == _place(dataset)
        if same or {_key(pair.context, pair.reply) for pair in self.pairs} <= _keys(examples):
            raise UserError(
                f"the baseline's training set {self.name} is the run's own test set"
                f"{'' if same else ' (every pair of it is an example)'}: name another with "
                f"model.baseline.dataset=OPTION, and its file with {WHERE}.path=FILE"
            )

    def shared_pairs(self, examples: Sequence[Example]) -> int:
        """Return the number of examples whose last turn and a reference of it are a pair of the training set too."""
        known = {_key(pair.context, pair.reply) for pair in self.pairs}
        return sum(not known.isdisjoint(_keys([example])) for example in examples)


def open_training_set(option: str, settings: Mapping[str, Any]) -> TrainingSet:
    """Read the pairs of an option of ``dataset=``, with settings that replace the option's.

    Raises:
        UserError: the option or a setting is unknown, the data cannot be read, or they have no reply.
    """
    from dialoeval.config.compose import group

    try:
        config = group("dataset", option, settings, WHERE)
        effects.check_dataset(config, settings)
        pairs = data.pairs(config)
    except UserError as error:
        told = re.sub(rf"(?<![\w./])dataset\.({_SETTINGS})\b", rf"{WHERE}.\1", str(error))
        raise UserError(f"model.baseline.dataset={option}: {told}") from error
    if not pairs:
        raise UserError(f"model.baseline.dataset={option}: the training set {config.name} has no reply")
    return TrainingSet(config, pairs)


def _fingerprint(pairs: Iterable[Pair]) -> str:
    digest = hashlib.sha256()
    for pair in pairs:
        digest.update(dumps([pair.conversation, pair.context, pair.reply]).encode() + b"\n")
    return digest.hexdigest()


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _key(context: tuple[str, ...], reply: str) -> tuple[str, str]:
    return _plain(last_turn(context)), _plain(reply)


def _keys(examples: Iterable[Example]) -> set[tuple[str, str]]:
    return {_key(example.context, reply) for example in examples for reply in example.references}


def _place(config: DatasetConfig) -> dict[str, Any]:
    """Return what says which data a configuration reads, whatever part of it."""
    names = ("kind", "path", "subset", "revision", "split", "options")
    place = {name: getattr(config, name) for name in names} | {"where": dataclasses.asdict(config.columns)["where"]}
    if config.path is not None and Path(config.path).expanduser().exists():
        place["path"] = str(Path(config.path).expanduser().resolve())
    return place
