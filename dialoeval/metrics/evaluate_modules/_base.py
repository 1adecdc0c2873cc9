"""Inputs and descriptions shared by the modules."""

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
    return [[reference] if isinstance(reference, str) else list(reference) for reference in references]
