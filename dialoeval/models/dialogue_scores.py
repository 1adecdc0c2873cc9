"""Scores of a reply in its context: of a sequence classifier, or the context's probability under a backward model."""

from __future__ import annotations

from collections.abc import Sequence

from dialoeval.errors import UserError
from dialoeval.models.loading import LoadedModel
from dialoeval.models.plain_text import PlainText


def label_index(model: str, labels: Sequence[str], label: str | None) -> int | None:
    """Return the index of the label that a user chose by name or number; None for the only one.

    Raises:
        UserError: there are several labels and none is chosen, or there is no such label.
    """
    if label is None and len(labels) == 1:
        return None
    listed = ", ".join(f"{i} {name}" for i, name in enumerate(labels[:12]))
    if label is None:
        raise UserError(
            f"{model} has {len(labels)} labels ({listed}): choose the one whose probability is the score, such as "
            f"{model}@{labels[-1]}"
        )
    lower = [name.lower() for name in labels]
    if label.lower() in lower:
        return lower.index(label.lower())
    if label.isdigit() and int(label) < len(labels):
        return int(label)
    raise UserError(f"{model} has no label {label!r} (it has: {listed})")


class ResponseClassifier:
    """A sequence classifier over context and reply, such as DialogRPT, which predicts whether people like a reply.

    Attributes:
        label: index of the label whose probability is the score: sigmoid of a single logit or of one of several labels
            that do not exclude each other (multi_label_classification), else softmax.
    """

    _BATCH = 32

    def __init__(self, loaded: LoadedModel, label: int | None = None) -> None:
        self.loaded = loaded
        self.texts = PlainText(loaded.tokenizer)
        self.labels = int(loaded.model.config.num_labels)
        if not hasattr(loaded.model, "score") or (self.labels != 1 and label is None):
            raise UserError(
                f"{loaded.name} cannot score a reply in its context: use a GPT-2 sequence classifier with one label, "
                f"such as microsoft/DialogRPT-updown (this model has {self.labels} labels)"
            )
        self.label = label or 0
        kind = getattr(loaded.model.config, "problem_type", None)
        self.independent = self.labels == 1 or kind == "multi_label_classification"

    def input(self, context: Sequence[str], reply: str) -> list[int]:
        """Return turns and reply joined by the end-of-text token, as in DialogRPT's training; old turns are cut."""
        return self.whole(context, reply)[-self.loaded.window :]

    def whole(self, context: Sequence[str], reply: str) -> list[int]:
        """Return the `input` before it is cut to the context length."""
        ids: list[int] = []
        for turn in context:
            ids += [*self.texts.encode(turn), self.loaded.eos_id]
        ids += self.texts.encode(reply)
        return ids or [self.loaded.eos_id]

    def probabilities(self, inputs: Sequence[Sequence[int]]) -> list[float]:
        """Return the probability of the label for each input."""
        import torch

        values = [0.0] * len(inputs)
        order = sorted(range(len(inputs)), key=lambda i: len(inputs[i]))
        for start in range(0, len(order), self._BATCH):
            part = order[start : start + self._BATCH]
            width = max(len(inputs[i]) for i in part)
            ids = torch.zeros(len(part), width, dtype=torch.long)
            lengths = torch.tensor([len(inputs[i]) for i in part])
            for row, i in enumerate(part):
                ids[row, : len(inputs[i])] = torch.tensor(inputs[i])
            model, device = self.loaded.model, self.loaded.device
            with torch.inference_mode():
                # The classifier's own forward pass locates the last token by the pad token, which may be the
                # end-of-text token: use the hidden state of the last real position instead.
                hidden = model.base_model(input_ids=ids.to(device)).last_hidden_state
                last = hidden[torch.arange(len(part)), (lengths - 1).to(device)]
                logits = model.score(last).float()
                chosen = (torch.sigmoid(logits) if self.independent else logits.softmax(-1))[:, self.label]
                for i, value in zip(part, chosen.tolist(), strict=True):
                    values[i] = value
        return values


class BackwardTexts:
    """Token ids for a backward model, which was trained on dialogues in reverse order.

    It reads the reply and scores the turns of the context, the last one first, each with its end token.

    Source: Zhang et al. (2020), "DialoGPT", section 3.2.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.texts = PlainText(loaded.tokenizer)

    def encode(self, text: str) -> list[int]:
        """Return a turn with its end token."""
        return [*self.texts.encode(text), self.loaded.eos_id]

    def source(self, context: Sequence[str]) -> list[int]:
        """Return the turns of a context, the last one first."""
        return [token for turn in reversed(context) for token in self.encode(turn)]

    def pair(self, reply: str, source: list[int]) -> tuple[list[int], list[int]]:
        """Return (reply, source) cut to the context length, at the end: the oldest turns are cut first."""
        ids = self.encode(reply)[-(self.loaded.window // 2) :]
        return ids, source[: self.loaded.window - len(ids)]
