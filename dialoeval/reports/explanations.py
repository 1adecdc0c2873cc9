"""What each figure of the tables means, in a sentence or two, with its signatures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dialoeval.errors import UserError
from dialoeval.metrics import registry
from dialoeval.metrics.figures import FIGURES, Figure
from dialoeval.metrics.scores import Scores

# Sources: the papers named; docs/metrics.md has the details.
_PAPER = {
    "nist": "N-grams shared with the references, rare ones counted more (Doddington 2002).",
    "bleu": "Share of the n-grams that a reference has too, with a penalty for short replies (Papineni et al. 2002).",
    "meteor": "Words aligned with the best reference by form, stem, synonym or paraphrase (Denkowski and Lavie 2014).",
    "entropy": "How evenly the n-grams of all replies are spread, in nats (Zhang et al. 2018). It grows with the "
    "number of replies: compare sets of one size.",
    "distinct": "Different n-grams among all n-grams of all replies (Li et al. 2016). It falls with the number of "
    "replies: compare sets of one size.",
    "avg_len": "Mean words per reply. Neither longer nor shorter is better in itself.",
}
_DIRECTIONS = {True: ("↑", "higher is better"), False: ("↓", "lower is better"), None: ("", "no direction is better")}


@dataclass(frozen=True)
class Explained:
    """A column of a table of scores.

    Attributes:
        name: flat name of the figure.
        heading: of the column.
        arrow: towards the better values; empty if neither direction is better.
        direction: the same in words.
        text: what the figure means.
        signatures: (whose, signature); whose is empty if all runs share it.
    """

    name: str
    heading: str
    arrow: str
    direction: str
    text: str
    signatures: tuple[tuple[str, str], ...] = ()


def explained(figure: Figure, names: Sequence[str], scores: Sequence[Scores]) -> Explained:
    """Return what the column of a figure is about.

    Args:
        figure: of the column.
        names: of the runs.
        scores: of the same runs.
    """
    arrow, direction = _DIRECTIONS[figure.higher_is_better]
    found = [(name, s.signature_of(figure.name)) for name, s in zip(names, scores, strict=True)]
    found = [(name, signature) for name, signature in found if signature]
    shared = len({signature for _, signature in found}) == 1
    signatures = (("", found[0][1]),) if shared else tuple(found)
    return Explained(figure.name, figure.heading, arrow, direction, _text(figure), signatures)


def _text(figure: Figure) -> str:
    if figure.name in FIGURES:
        return _PAPER[figure.name.rstrip("12345")]
    try:
        text = registry.get(registry.metric_of(figure.name)).description
    except UserError:
        return "A metric of a plugin that is not installed here."
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
