"""The Human row of the 6K Reddit table, from the published replies or from the rebuilt set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dialoeval.config import DatasetConfig, ScoringConfig
from dialoeval.data.sources import dstc7, reddit6k
from dialoeval.errors import UserError
from dialoeval.files import read_lines
from dialoeval.metrics.scores import Scores, score

PUBLISHED = "human.ref.6k.txt"
REBUILT = ("test.scored_refs.txt", "test.refs.txt")


@dataclass(frozen=True)
class HumanScores:
    """Scores of the human replies.

    Attributes:
        scores: of the set.
        source: what they were computed from.
        why: why figures are missing; empty if none is.
    """

    scores: Scores
    source: str
    why: str = ""


def human_rows(data: Path, progress: bool) -> Iterator[HumanScores]:
    """Yield the scores of the published human replies (no reference is public), and of those of the rebuilt set.

    Raises:
        UserError: the folder holds neither, or a file is malformed.
    """
    published, rebuilt = data / PUBLISHED, dstc7.first_file(data, *REBUILT)
    if not published.is_file() and rebuilt is None:
        raise UserError(
            f"{data} has no {PUBLISHED} (the DialoGPT repository publishes it), and no {REBUILT[0]} "
            "(`dialoeval build reddit6k` makes it)"
        )
    if published.is_file():
        replies = [line for _, line in read_lines(published)]
        why = "the references of these replies are not public"
        scores = score(replies, [[] for _ in replies], "reddit6k", ScoringConfig(meteor=False, resamples=0))
        yield HumanScores(scores, f"{published}: {len(replies)} replies; {why}", why)
    if rebuilt is not None:
        examples = reddit6k.load(DatasetConfig(name="reddit6k", kind="reddit6k", path=str(rebuilt))).examples
        replies = [example.human or "" for example in examples]
        references = [example.references for example in examples]
        scores = score(replies, references, "reddit6k", ScoringConfig(resamples=0), progress=progress)
        yield HumanScores(scores, f"{rebuilt}: the last column of {len(replies)} lines against the other columns")
