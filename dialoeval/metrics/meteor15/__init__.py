"""METEOR 1.5 for English, exactly as `meteor-1.5.jar HYP REF -r N -l en -norm` computes it, without Java.

    from dialoeval.metrics.meteor15 import figures, segments, statistics

    rows = statistics(["a small cat sat"], [["the little cat sat down", "no"]])
    figures(rows.sum(axis=0))  # the set's score
    segments(rows)             # each reply's

Statistics of replies add up: the score of a set, a resample or a union of shards is `figures` of the sum of their rows.

Language data is read from the installed package pycocoevalcap. The first use compiles it, and the inner loops, into
the user's cache: the better part of a minute, once.

What is not text as usual, all as in the jar:

- an empty reply, or one without a word: score 0; its row holds the lengths of the first reference;
- an empty reference scores 0; a reply without any reference gets a row of zeros and score 0 (the jar cannot do this);
- lone surrogates, control characters, right-to-left text and characters beyond the basic plane are words like others;
  a line break inside a text is white space (in the jar's files it would end the line);
- words are compared by Java's 32-bit string hash, so a few different words, such as "f1" and "do", match exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dialoeval.errors import UserError
from dialoeval.metrics.meteor15.options import MODULES, TASKS, Options

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "MODULES",
    "PAPER",
    "STATISTICS",
    "TASKS",
    "VERSION",
    "Alignment",
    "Match",
    "Options",
    "align",
    "corpus",
    "figures",
    "segment",
    "segments",
    "signature",
    "statistics",
]

VERSION = 1  # of this code: raised when it changes a figure

PAPER = Options()

STATISTICS: tuple[str, ...] = (
    "hypothesis_words",
    "reference_words",
    "hypothesis_function_words",
    "reference_function_words",
    *(
        f"{module}_{side}_{kind}"
        for module in MODULES
        for kind in ("content", "function")
        for side in ("hypothesis", "reference")
    ),
    "chunks",  # without those of perfect pairs
    "hypothesis_matches",
    "reference_matches",
    "perfect",  # pairs whose every word on both sides is matched in one chunk
)
"""Columns of `statistics`: the jar's 23 sufficient statistics in the order it prints them, then "perfect".

The jar leaves the one chunk of a perfect pair out when it sums, and takes the penalty of a perfect pair to be 0 when
it scores it alone. Both come out right when that chunk is left out from the start; the jar's own count of a pair's
chunks is ``chunks + perfect``.
"""


def statistics(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    options: Options = PAPER,
    *,
    progress: bool = False,
    workers: int = 0,
) -> np.ndarray:
    """Sufficient statistics of each reply with its best reference.

    Args:
        hypotheses: n replies.
        references: for each reply the list of its references, any number of them.
        options: see `Options`.
        progress: show progress bars on stderr.
        workers: threads; 0: as many as there are cores.

    Returns:
        (n, len(STATISTICS)) float64, whole numbers; rows add up. The best reference is the one with the highest score,
        the first of equals.

    Raises:
        UserError: the two lengths differ, something is not text, pycocoevalcap is missing, the cache cannot be written.
    """
    from dialoeval.metrics.meteor15 import batches, index

    _check(hypotheses, references)
    tables = index.load(progress=progress)
    return batches.statistics(hypotheses, references, options, tables, progress=progress, workers=workers)


def _check(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if isinstance(hypotheses, str) or isinstance(references, str):
        raise UserError("METEOR takes a list of replies and for each a list of references, not one text")
    if len(hypotheses) != len(references):
        raise UserError(f"{len(hypotheses)} replies but {len(references)} lists of references")
    for number, (reply, texts) in enumerate(zip(hypotheses, references, strict=True), 1):
        if not isinstance(reply, str):
            raise UserError(f"reply {number} is not text but {type(reply).__name__}")
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise UserError(f"the references of reply {number} are not a list of texts")


def figures(totals: np.ndarray, options: Options = PAPER) -> np.ndarray:
    """The score of sums of statistics.

    Args:
        totals: (..., len(STATISTICS)).

    Returns:
        (...) float64 from 0 to 1; 0 where nothing matches or there is nothing.
    """
    import numpy as np

    totals = np.asarray(totals, np.float64)
    column = dict(zip(STATISTICS, np.moveaxis(totals, -1, 0), strict=True))
    alpha, beta, gamma, delta = options.all_parameters
    shares = {"content": delta, "function": 1.0 - delta}
    ratios = []
    for side in ("hypothesis", "reference"):
        function_words = column[f"{side}_function_words"]
        length = delta * (column[f"{side}_words"] - function_words) + (1.0 - delta) * function_words
        matches = np.zeros_like(length)
        for kind, share in shares.items():
            for module, weight in zip(options.modules, options.module_weights, strict=True):
                matches = matches + column[f"{module}_{side}_{kind}"] * weight * share
        ratios.append((matches, length))
    with np.errstate(divide="ignore", invalid="ignore"):
        precision, recall = (matches / length for matches, length in ratios)
        mean = 1.0 / ((1.0 - alpha) / precision + alpha / recall)
        fragments = column["chunks"] / ((column["hypothesis_matches"] + column["reference_matches"]) / 2.0)
        scores = mean * (1.0 - gamma * fragments**beta)
        return np.where(scores > 0.0, scores, 0.0)


def segments(statistics: np.ndarray, options: Options = PAPER) -> np.ndarray:
    """(n,) float64: the score of each row of `statistics` by itself."""
    return figures(statistics, options)


def corpus(hypotheses: Sequence[str], references: Sequence[Sequence[str]], options: Options = PAPER) -> float:
    """The score of a set: not the mean of its replies' scores. See `statistics` for arguments and errors."""
    return float(figures(statistics(hypotheses, references, options).sum(axis=0), options))


def segment(hypothesis: str, references: Sequence[str], options: Options = PAPER) -> float:
    """The score of one reply: the highest among its references."""
    return float(figures(statistics([hypothesis], [references], options)[0], options))


@dataclass(frozen=True)
class Match:
    """Words ``[hypothesis_start, + hypothesis_length)`` of the reply matched with words of the reference."""

    reference_start: int
    reference_length: int
    hypothesis_start: int
    hypothesis_length: int
    module: str


@dataclass(frozen=True)
class Alignment:
    """How a reply's words are matched with a reference's, and what that scores."""

    hypothesis: tuple[str, ...]
    reference: tuple[str, ...]
    matches: tuple[Match, ...]
    chunks: int
    score: float
    statistics: dict[str, float]


def align(hypothesis: str, reference: str, options: Options = PAPER) -> Alignment:
    """The alignment of one reply with one reference. Errors as in `statistics`."""
    import numpy as np

    from dialoeval.metrics.meteor15 import batches, index

    _check([hypothesis], [[reference]])
    tables = index.load()
    batch = batches.prepare([hypothesis], [[reference]], options, tables)
    scorer = batches.Scorer(batch, options, tables)
    row = np.zeros((1, len(STATISTICS)))
    scorer.score(0, 1, row, np.zeros(1, np.int32))
    named = dict(zip(STATISTICS, row[0].tolist(), strict=True))
    matches = [Match(*places, module=MODULES[module]) for *places, module in scorer.matches().tolist()]
    return Alignment(
        hypothesis=tuple(batch.tokens[batch.replies[0]]),
        reference=tuple(batch.tokens[batch.references[0]]),
        matches=tuple(matches),
        chunks=int(named["chunks"] + named["perfect"]),
        score=float(figures(row[0], options)),
        statistics=named,
    )


def signature(options: Options = PAPER) -> str:
    """What identifies a figure: the jar's Eval ID, this code's version, the data's."""
    from dialoeval.metrics.meteor15 import source

    return f"{options.eval_id}|code:{VERSION}|data:pycocoevalcap-{source.version()}"
