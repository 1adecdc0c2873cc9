"""Sequence classifiers for metrics: of a text alone, and of a reply in its context."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dialoeval.errors import UserError
from dialoeval.metrics.base import Array
from dialoeval.models import classifier_labels, load_classifier, load_text_classifier
from dialoeval.models.dialogue_scores import ResponseClassifier, label_index
from dialoeval.progress import progress as show_progress

_ROWS = 32


def split_label(argument: str) -> tuple[str, str | None]:
    """Return (model, label) of ``MODEL@LABEL``; a folder whose name has an ``@`` is a model."""
    model, at, label = argument.rpartition("@")
    return (model, label) if at and model and not Path(argument).expanduser().is_dir() else (argument, None)


def check_classifier(argument: str) -> tuple[str, int | None, str]:
    """Return (model, index of its label, name of the label), by its configuration.

    Raises:
        UserError: there is no such model or label, or it has several labels and none is chosen.
    """
    model, label = split_label(argument)
    labels = classifier_labels(model)
    index = label_index(model, labels, label)
    return model, index, labels[index or 0]


class TextClassifier:
    """A sequence classifier of single texts.

    Attributes:
        label_name: of the label whose probability is returned.
        cut: number of texts that were cut to the model's length.
    """

    def __init__(self, argument: str) -> None:
        name, index, self.label_name = check_classifier(argument)
        self.index = index or 0
        self.name, self.cut = name, 0
        self.model, self.tokenizer = load_text_classifier(name)
        config = self.model.config
        _check_probability(name, config)
        self.independent = config.num_labels == 1 or config.problem_type == "multi_label_classification"
        self.limit = min(self.tokenizer.model_max_length, getattr(config, "max_position_embeddings", None) or 512)
        if config.model_type in ("roberta", "xlm-roberta", "camembert"):
            self.limit -= config.pad_token_id + 1  # their positions begin after the padding token's id

    def probabilities(self, texts: Sequence[str], *, progress: bool = False) -> Array:
        """Return (t,) probabilities of the label, NaN for texts without a character; equal texts are read once.

        Texts of one length in tokens form a batch, so that nothing is padded.

        Raises:
            UserError: a probability is not finite.
        """
        import contextlib

        distinct = sorted({text for text in texts if text.strip()})
        groups: dict[int, list[tuple[str, dict[str, list[int]]]]] = {}
        for text in distinct:
            encoded = self.tokenizer(text, truncation=True, max_length=self.limit)
            whole = len(self.tokenizer(text, verbose=False)["input_ids"])
            self.cut += whole > len(encoded["input_ids"])
            groups.setdefault(len(encoded["input_ids"]), []).append((text, dict(encoded)))
        rows = 1 if self.model.config.pad_token_id is None else _ROWS  # decoders look for the last token by it
        found: dict[str, float] = {}
        shown = show_progress("texts", len(distinct)) if progress else contextlib.nullcontext(lambda: None)
        with shown as step:
            for _, group in sorted(groups.items()):
                for start in range(0, len(group), rows):
                    part = group[start : start + rows]
                    found |= zip([text for text, _ in part], self._batch([e for _, e in part]), strict=True)
                    for _ in part:
                        step()
        if not all(map(np.isfinite, found.values())):
            raise UserError(f"{self.name} returns scores that are not finite: its weights are broken")
        return np.array([found.get(text, np.nan) for text in texts], dtype=float)

    def _batch(self, encoded: Sequence[dict[str, list[int]]]) -> list[float]:
        import torch

        inputs = {name: torch.tensor([row[name] for row in encoded]).to(self.model.device) for name in encoded[0]}
        with torch.inference_mode():
            logits = self.model(**inputs).logits.float()
        values = torch.sigmoid(logits) if self.independent else logits.softmax(-1)
        return [float(value) for value in values[:, self.index]]


def response_classifier(argument: str) -> tuple[ResponseClassifier, str]:
    """Load a classifier of replies in their contexts; return it and the name of its label.

    Raises:
        UserError: as `check_classifier`, or the model is no decoder with a score for the last token.
    """
    from dialoeval.config import EngineConfig

    model, index, label = check_classifier(argument)
    classifier = ResponseClassifier(load_classifier(model, revision=None, weights=None, engine=EngineConfig()), index)
    _check_probability(model, classifier.loaded.model.config)
    return classifier, label


def _check_probability(name: str, config: Any) -> None:
    """Check that a classifier's output is no measurement on a scale of its own.

    Raises:
        UserError: it is.
    """
    if getattr(config, "problem_type", None) == "regression":
        raise UserError(f"{name} is a regression (problem_type of its config.json), whose output is no probability")
