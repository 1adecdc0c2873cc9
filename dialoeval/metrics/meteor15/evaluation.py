"""METEOR of replies: sufficient statistics, and scores of sets and of single replies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dialoeval.metrics.inputs import paired_inputs
from dialoeval.metrics.meteor15.formula import figures
from dialoeval.metrics.meteor15.options import PAPER, Options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def statistics(
    hypotheses: Iterable[str],
    references: Iterable[Iterable[str]],
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
        the first among equals. The row of a reply that has too many possible matches with a reference (7,000 times
        one word against its like) is NaN, and a warning is logged that names it.

    Raises:
        UserError: the two lengths differ, an entry is not a string, pycocoevalcap is missing, or the cache cannot be
            written.
    """
    replies, lists = paired_inputs(hypotheses, references)
    from dialoeval.metrics.meteor15 import index, scorer

    return scorer.score_replies(
        replies, lists, options, index.load(progress=progress), progress=progress, workers=workers
    )


def corpus(hypotheses: Iterable[str], references: Iterable[Iterable[str]], options: Options = PAPER) -> float:
    """Return the score of a set, which is not the mean of its replies' scores, without replies whose row is NaN.

    Args and Raises: see `statistics`.
    """
    import numpy as np

    return float(figures(np.nansum(statistics(hypotheses, references, options), axis=0), options))


def segment(hypothesis: str, references: Iterable[str], options: Options = PAPER) -> float:
    """Return the score of one reply, the highest among its references; NaN if its row is. Raises as `statistics`."""
    return float(figures(statistics([hypothesis], [references], options)[0], options))
