"""Inputs and descriptions shared by the modules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import datasets
import evaluate

from dialoeval.metrics import inputs

REFERENCE_INPUTS = [
    datasets.Features(
        {"predictions": datasets.Value("string"), "references": datasets.Sequence(datasets.Value("string"))}
    ),
    datasets.Features({"predictions": datasets.Value("string"), "references": datasets.Value("string")}),
]
REPLY_INPUTS = datasets.Features({"predictions": datasets.Value("string")})
DIALOGPT = "Zhang et al. 2020, DialoGPT: Large-Scale Generative Pre-training for Conversational Response Generation"


class Module(evaluate.Metric):  # type: ignore[misc]  # evaluate has no types
    """A metric that reads its inputs as dialoeval's functions do; `evaluate` alone makes text of dicts and numbers."""

    def compute(
        self, *, predictions: Iterable[str] | None = None, references: Iterable[Any] | None = None, **options: Any
    ) -> Any:
        """Return the figures of replies, given here or earlier by `add` and `add_batch`.

        Raises:
            UserError: an entry is not a string, or not a list of strings; the message names its position.
        """
        if predictions is not None:
            options["predictions"] = inputs.reply_list(predictions)
        if references is not None:
            options["references"] = reference_lists(references)
        return super().compute(**options)


def info(description: str | None, citation: str, features: Any) -> evaluate.MetricInfo:
    """Return the description that `evaluate` displays."""
    return evaluate.MetricInfo(
        description=description,
        citation=citation,
        inputs_description=(
            "predictions: replies; references: for each reply a list of references, or one reference; "
            "protocol: dstc7, reddit6k or none (the text as it is)"
        ),
        features=features,
    )


def reference_lists(references: Iterable[str | Iterable[str]]) -> list[list[str]]:
    """Return the references of each reply as a list, also if they are a single string."""
    if isinstance(references, str | Mapping):
        return inputs.reference_lists(references)  # which refuses it
    return inputs.reference_lists([[entry] if isinstance(entry, str) else entry for entry in references])
