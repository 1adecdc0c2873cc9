"""METEOR's alignment of a reply's words with a reference's."""

from __future__ import annotations

from dataclasses import dataclass

from dialoeval.errors import UserError
from dialoeval.metrics.inputs import paired_inputs
from dialoeval.metrics.meteor15.formula import STATISTICS, figures
from dialoeval.metrics.meteor15.options import MODULES, PAPER, Options


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
    """A reply's and a reference's words, their matches, and the score.

    Attributes:
        chunks: runs of matches that are in the same order on both sides.
        statistics: the pair's row of `statistics`, by column name.
    """

    hypothesis: tuple[str, ...]
    reference: tuple[str, ...]
    matches: tuple[Match, ...]
    chunks: int
    score: float
    statistics: dict[str, float]


def align(hypothesis: str, reference: str, options: Options = PAPER) -> Alignment:
    """Return the alignment of one reply with one reference.

    Raises:
        UserError: as `statistics`, or the pair has too many possible matches.
    """
    paired_inputs([hypothesis], [[reference]])
    from dialoeval.metrics.meteor15 import index
    from dialoeval.metrics.meteor15.batch import prepare
    from dialoeval.metrics.meteor15.scorer import Scorer

    language = index.load()
    pair = prepare([hypothesis], [[reference]], options, language)
    scorer = Scorer(pair, options, language)
    if too_many := scorer.score(0, 1):
        raise UserError(f"METEOR finds {too_many[0]:,} possible matches between the two texts: too many to align")
    row = pair.rows[0]
    named = dict(zip(STATISTICS, row.tolist(), strict=True))
    return Alignment(
        hypothesis=tuple(pair.tokens[pair.texts.replies[0]]),
        reference=tuple(pair.tokens[pair.texts.references[0]]),
        matches=tuple(
            Match(ref_start, ref_length, hyp_start, hyp_length, MODULES[module])
            for ref_start, ref_length, hyp_start, hyp_length, module in scorer.matches().tolist()
        ),
        chunks=int(named["chunks"] + named["perfect"]),
        score=float(figures(row, options)),
        statistics=named,
    )
