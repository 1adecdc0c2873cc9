"""Scores of a set: the paper's figures with intervals, signatures and counts, and the scores of each reply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from dialoeval import __version__
from dialoeval.config import ProtocolConfig, ScoringConfig
from dialoeval.metrics import mteval_bleu, mteval_nist
from dialoeval.metrics.corpus import Statistics, statistics
from dialoeval.metrics.protocol import reference_slots
from dialoeval.metrics.signature import signatures
from dialoeval.stats import bootstrap_intervals

SCHEMA = 1


@dataclass(frozen=True)
class Scores:
    """Everything that scores.json holds. Figures that cannot be told (no references, METEOR off) are None."""

    n: int
    figures: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    signatures: dict[str, str]
    protocol: dict[str, Any]
    counts: dict[str, int]
    resamples: int
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def signature(self) -> str:
        """One line for the whole set of figures."""
        return self.signatures["nist"]

    def to_json(self) -> dict[str, Any]:
        """The figures in the layout of scores.json."""

        def several(name: str, orders: int) -> list[float | None]:
            return [self.figures.get(f"{name}{n}") for n in range(1, orders + 1)]

        return {
            "schema": SCHEMA,
            "n": self.n,
            "nist": several("nist", 4),
            "bleu": several("bleu", 4),
            "meteor": self.figures.get("meteor"),
            "entropy": several("entropy", 4),
            "distinct": several("distinct", 2),
            "avg_len": self.figures["avg_len"],
            "nist5": self.figures.get("nist5"),
            "signature": self.signature,
            "signatures": self.signatures,
            "protocol": self.protocol,
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
            "resamples": self.resamples,
            "counts": self.counts,
            "extra": self.extra,
            "version": __version__,
        }


def score(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    protocol: ProtocolConfig | None = None,
    scoring: ScoringConfig | None = None,
    *,
    contexts: Sequence[Sequence[str]] | None = None,
    progress: bool = False,
) -> Scores:
    """Score replies with all of the paper's metrics, and the extra ones that `scoring` names.

    Args:
        hypotheses: one reply an example; references: `references[i]` is the list of references of reply i.
        contexts: the turns before each reply, which some extra metrics look at.

    Raises:
        UserError: the lists do not fit, an unknown metric, or the data of METEOR is missing.
    """
    scoring = scoring or ScoringConfig()
    made = statistics(hypotheses, references, protocol, meteor=scoring.meteor, progress=progress)
    return score_statistics(made, scoring, hypotheses=hypotheses, references=references, contexts=contexts)


def score_statistics(
    made: Statistics,
    scoring: ScoringConfig,
    *,
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    contexts: Sequence[Sequence[str]] | None = None,
) -> Scores:
    """Scores from statistics that are there already.

    Extra metrics see the protocol's references, each once, but the text as it was before cleaning.
    """
    from dialoeval.metrics.extra import compute

    slots = [len(refs) for refs in made.texts.references]
    chosen = [list(dict.fromkeys(reference_slots(refs, made.protocol))) for refs in references]
    return Scores(
        n=len(made),
        figures={name: float(values[0]) for name, values in made.figures().items()},
        intervals=bootstrap_intervals(made, scoring.resamples, scoring.bootstrap_seed),
        signatures=signatures(made.protocol, slots, made.meteor is not None),
        protocol={key: None if value is None else _plain(value) for key, value in asdict(made.protocol).items()},
        counts=_counts(made, chosen),
        resamples=scoring.resamples,
        extra={name: compute(name, hypotheses, chosen, contexts) for name in scoring.extra},
    )


def segments(made: Statistics, ids: Sequence[str]) -> list[dict[str, Any]]:
    """One row a reply: NIST-5 and BLEU-4 as mteval prints for a segment, METEOR, and its length in words.

    Scores that need a reference are None where there is none.
    """
    columns: dict[str, Any] = {
        "nist": mteval_nist.figures(made.nist)[:, 4],
        "bleu": mteval_bleu.figures(made.bleu)[:, 3],
    }
    if made.meteor is not None:
        from dialoeval.metrics.meteor15 import segments as meteor_segments

        columns["meteor"] = meteor_segments(made.meteor)
    rows = []
    for i, name in enumerate(ids):
        row: dict[str, Any] = {"id": name}
        row |= {key: float(values[i]) if made.judged[i] else None for key, values in columns.items()}
        row["length"] = int(made.diversity.orders[0].totals[i])
        rows.append(row)
    return rows


def _counts(made: Statistics, references: Sequence[Sequence[str]]) -> dict[str, int]:
    """How many inputs were degenerate: nothing of them is dropped silently."""
    words = made.diversity.orders[0].totals
    raw_empty = sum(not reference.strip() for refs in references for reference in refs)
    return {
        "empty_replies": int(np.sum(words == 0)),
        "one_word_replies": int(np.sum(words == 1)),
        "replies_without_references": int(np.sum(~made.judged)),
        "empty_references": raw_empty,
        "references_empty_after_cleaning": sum(not r.split() for refs in made.texts.references for r in set(refs)),
    }


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float | str) and type(value) in (int, float, str, bool) else str(value)
