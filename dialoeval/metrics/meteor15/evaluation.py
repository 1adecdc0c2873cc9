"""METEOR of replies: sufficient statistics, and scores of sets and of single replies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dialoeval.errors import UserError
from dialoeval.metrics.meteor15.formula import figures
from dialoeval.metrics.meteor15.options import PAPER, Options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def statistics(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    options: Options = PAPER,
    *,
    progress: bool = False,
    workers: int = 0,
) -> NDArray[np.float64]:
    """Return the sufficient statistics of each reply with its best reference.

    Args:
        hypotheses: n replies.
        references: for each reply the list of its references, of any length.
        options: see `Options`.
        progress: show progress bars on stderr.
        workers: number of threads; 0 for one per core.

    Returns:
        (n, len(STATISTICS)) float64, whole numbers; rows add up. The best reference is the one with the highest score,
        the first among equals.

    Raises:
        UserError: the two lengths differ, an entry is not text, pycocoevalcap is missing, or the cache cannot be
            written.
    """
    check_texts(hypotheses, references)
    from dialoeval.metrics.meteor15 import index, scorer

    return scorer.score_replies(
        hypotheses, references, options, index.load(progress=progress), progress=progress, workers=workers
    )


def check_texts(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    """Check that the arguments are n texts and n lists of texts.

    Raises:
        UserError: the lengths differ, or an entry is not text.
    """
    if isinstance(hypotheses, str) or isinstance(references, str):
        raise UserError("METEOR needs a list of replies and for each a list of references, not one text")
    if len(hypotheses) != len(references):
        raise UserError(f"{len(hypotheses)} replies but {len(references)} lists of references")
    for number, (reply, texts) in enumerate(zip(hypotheses, references, strict=True), 1):
        if not isinstance(reply, str):
            raise UserError(f"reply {number} is not text but {type(reply).__name__}")
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise UserError(f"the references of reply {number} are not a list of texts")


def corpus(hypotheses: Sequence[str], references: Sequence[Sequence[str]], options: Options = PAPER) -> float:
    """Return the score of a set, which is not the mean of its replies' scores.

    Args and Raises: see `statistics`.
    """
    return float(figures(statistics(hypotheses, references, options).sum(axis=0), options))


def segment(hypothesis: str, references: Sequence[str], options: Options = PAPER) -> float:
    """Return the score of one reply: the highest among its references. Raises as `statistics` does."""
    return float(figures(statistics([hypothesis], [references], options)[0], options))
