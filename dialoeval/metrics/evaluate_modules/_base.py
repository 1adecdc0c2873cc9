"""What the modules share."""

from __future__ import annotations

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


def info(description: str, citation: str, features) -> evaluate.MetricInfo:
    """The description that `evaluate` shows."""
    return evaluate.MetricInfo(
        description=description,
        citation=citation,
        inputs_description="predictions: replies; references: for each reply a list of references, or one reference",
        features=features,
    )


def reference_lists(references) -> list[list[str]]:
    """References as lists, also where one string was given for each reply."""
    return [[reference] if isinstance(reference, str) else list(reference) for reference in references]
