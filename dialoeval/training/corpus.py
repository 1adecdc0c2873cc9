"""The data of a training: dialogues as token sequences, and which of their tokens are predicted."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dialoeval import data
from dialoeval.config import DatasetConfig, Direction, Objective, TrainConfig, TrainingConfig
from dialoeval.errors import UserError
from dialoeval.models.plain_text import PlainText
from dialoeval.training.chat import ChatFormat
from dialoeval.training.features import encode_responses
from dialoeval.training.sequences import Span, encode_dialogues

if TYPE_CHECKING:
    import torch


@dataclass
class Corpus:
    """Token sequences of one split.

    Attributes:
        sequences: token ids.
        spans: the positions of each sequence that are predicted; None: all but the first.
        left_out: {what: how many} of the data that no sequence contains.
    """

    sequences: list[list[int]]
    spans: list[list[Span]] | None = None
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def lengths(self) -> list[int]:
        """Tokens of each sequence."""
        return [len(sequence) for sequence in self.sequences]

    @property
    def tokens(self) -> int:
        """Tokens of all sequences."""
        return sum(self.lengths)

    def predicted(self, index: int) -> list[Span]:
        """Return the positions of a sequence that are predicted from those before them."""
        return [(1, len(self.sequences[index]))] if self.spans is None else self.spans[index]

    def micro_batch(self, indices: list[int], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (input ids, labels), each (rows, longest), right-padded; the loss ignores labels of -100.

        Padding follows from the lengths, not from token values: the end-of-text token both pads and is learned.
        """
        import torch

        longest = max(len(self.sequences[i]) for i in indices)
        ids = torch.zeros(len(indices), longest, dtype=torch.long)
        labels = torch.full((len(indices), longest), -100)
        for row, index in enumerate(indices):
            sequence = torch.tensor(self.sequences[index])
            ids[row, : len(sequence)] = sequence
            for start, stop in self.predicted(index):
                labels[row, start:stop] = sequence[start:stop]
        return ids.to(device), labels.to(device)


def load_corpus(
    dataset: DatasetConfig, options: TrainingConfig, tokenizer: Any, chat: ChatFormat | None = None
) -> Corpus:
    """Return the dialogues of a dataset as token sequences of two tokens or more.

    Args:
        dataset: the training or the held-out dialogues.
        options: the length of sequences, what is predicted, and the order of turns.
        tokenizer: of the model.
        chat: the chat format, which predicts the replies; None: the end-of-text token follows each turn.

    Raises:
        UserError: the dataset cannot be read, or has no dialogues.
    """
    backward = options.direction == Direction.backward
    if chat:
        corpus = Corpus(*chat.encode(data.load(dataset).examples, options.block_size))
    elif options.objective == Objective.responses:
        counts: Counter[str] = Counter()
        features = encode_responses(
            data.weighted_dialogues(dataset, counts),
            PlainText(tokenizer).encode_all,
            tokenizer.eos_token_id,
            options.block_size,
            options.cutting,
            counts,
            backward=backward,
        )
        corpus = Corpus([tokens for tokens, _ in features], [spans for _, spans in features], dict(counts))
    else:
        sequences = encode_dialogues(
            data.dialogues(dataset),
            PlainText(tokenizer).encode_all,  # a special token that a turn spells is text, as in prompts
            tokenizer.eos_token_id,
            options.block_size,
            backward=backward,
        )
        corpus = Corpus([sequence for sequence in sequences if len(sequence) > 1])
    if not corpus.sequences:
        told = "".join(f"; left out: {count} {what}" for what, count in corpus.left_out.items())
        raise UserError(
            f"the dataset {dataset.name} has no dialogues (path={dataset.path}, split={dataset.split})"
            + (" in which a turn follows another, to be predicted" if corpus.spans is not None else "")
            + told
        )
    return corpus


def held_out_dataset(config: TrainConfig) -> DatasetConfig | None:
    """Return the dataset of the held-out dialogues: another file or another split. None if neither is set."""
    options = config.training
    if options.validation_path is not None:
        return dataclasses.replace(config.dataset, path=options.validation_path, limit=options.validation_limit)
    if options.validation_split is None or not data.has_splits(config.dataset):
        return None
    return dataclasses.replace(config.dataset, split=options.validation_split, limit=options.validation_limit)
