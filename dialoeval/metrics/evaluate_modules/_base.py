"""What the modules share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import datasets
import evaluate

REFERENCE_INPUTS = [
    datasets.Features(
        {"predictions": datasets.Value("string"), "references": datasets.Sequence(datasets.Value("string"))}
    ),
    datasets.Features({"predictions": datasets.Value("string"), "references": datasets.Value("string")}),
]
REPLY_INPUTS = datasets.Features({"predictions": datasets.Value("string")})
DIALOGPT = "Zhang et al. 2020, DialoGPT: Large-Scale Generative Pre-training for Conversational Response Generation"


def info(description: str | None, citation: str, features: Any) -> evaluate.MetricInfo:
    """The description that `evaluate` shows."""
    return evaluate.MetricInfo(
        description=description,
        citation=citation,
        inputs_description="predictions: replies; references: for each reply a list of references, or one reference",
        features=features,
    )


def reference_lists(references: Iterable[str | Iterable[str]]) -> list[list[str]]:
    """Return references as lists, also if one string was given for each reply."""
    return [[reference] if isinstance(reference, str) else list(reference) for reference in references]
