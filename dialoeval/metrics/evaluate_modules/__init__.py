"""The paper's metrics as modules of Hugging Face's `evaluate`.

    import evaluate
    from dialoeval.metrics.evaluate_modules import path

    evaluate.load(path("nist_mteval")).compute(predictions=["a reply"], references=[["a reference", "another"]])

Each folder holds one `evaluate.Metric` subclass, so that ``evaluate.load("<folder>")`` works without a network.
"""

from __future__ import annotations

from pathlib import Path

NAMES = ("bleu_mteval", "distinct_n", "entropy_n", "meteor_1_5", "nist_mteval")


def path(name: str) -> str:
    """Return the folder to pass to ``evaluate.load``.

    Raises:
        UserError: the name is unknown.
    """
    from dialoeval.errors import UserError, nearest

    if name not in NAMES:
        raise UserError(f"unknown evaluate module {name!r}{nearest(name, NAMES)} (known: {', '.join(NAMES)})")
    return str(Path(__file__).parent / name)
