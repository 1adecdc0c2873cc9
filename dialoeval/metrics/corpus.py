"""Per-reply statistics of all the paper's metrics, and the figures of any weighting of the replies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dialoeval.config import ProtocolConfig
from dialoeval.errors import UserError
from dialoeval.metrics import mteval_bleu, mteval_nist
from dialoeval.metrics.diversity import Diversity
from dialoeval.metrics.overlap import overlap
from dialoeval.metrics.protocol import Texts, apply
from dialoeval.text.mteval import tokenize


@dataclass(frozen=True)
class Statistics:
    """What every figure follows from.

    Attributes:
        texts: the replies and references after the protocol.
        protocol: which protocol that was.
        nist: (n, 11), bleu: (n, 9), meteor: (n, k) or None where it was not asked for: rows that add up.
        diversity: n-gram counts of the replies.
        judged: (n,) whether a reply has a reference; the others take no part in NIST, BLEU and METEOR.
    """

    texts: Texts
    protocol: ProtocolConfig
    nist: np.ndarray
    bleu: np.ndarray
    meteor: np.ndarray | None
    diversity: Diversity
    judged: np.ndarray

    biased: ClassVar[frozenset[str]] = frozenset([*(f"entropy{n}" for n in range(1, 5)), "distinct1", "distinct2"])

    def __len__(self) -> int:
        return len(self.texts.hypotheses)

    def figures(self, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """{flat name: (m,)} for `weights` (m, n), how often each reply is taken; None: each once, m = 1.

        NIST keeps the information weights of the whole set. Figures that need references are left out where no reply
        has any; METEOR where it was not computed.
        """
        taken = np.ones((1, len(self))) if weights is None else np.asarray(weights)
        figures: dict[str, np.ndarray] = {}
        if self.judged.any():
            exact = taken.astype(float)
            for name, values in (
                ("nist", mteval_nist.figures(exact @ self.nist)),
                ("bleu", mteval_bleu.figures(exact @ self.bleu)),
            ):
                figures |= {f"{name}{n}": values[:, n - 1] for n in range(1, values.shape[1] + 1)}
            if self.meteor is not None:
                from dialoeval.metrics.meteor15 import figures as meteor_figures

                figures["meteor"] = meteor_figures(exact @ self.meteor)
        return figures | self.diversity.figures(None if weights is None else taken.astype(np.int64))

    def pooled(self, other: Statistics) -> Statistics:
        """Both systems' replies to the same examples as one set, this one's first; NIST keeps its information weights.

        Raises:
            UserError: the references or protocols differ, or only one has METEOR.
        """
        if self.texts.references != other.texts.references or self.protocol != other.protocol:
            raise UserError("two systems can be compared only on the same references and protocol")
        if (self.meteor is None) != (other.meteor is None):
            raise UserError("METEOR was computed for one system only")
        texts = Texts(self.texts.hypotheses + other.texts.hypotheses, self.texts.references + other.texts.references)
        return Statistics(
            texts,
            self.protocol,
            np.concatenate([self.nist, other.nist]),
            np.concatenate([self.bleu, other.bleu]),
            None if self.meteor is None else np.concatenate([self.meteor, other.meteor]),
            Diversity([line.split() for line in texts.hypotheses]),
            np.concatenate([self.judged, other.judged]),
        )

    @staticmethod
    def merge(parts: Sequence[Statistics]) -> Statistics:
        """The statistics of all parts together: equal to those of the whole set, in the order given.

        NIST's information weights and the n-gram counts are made again from the texts; METEOR, the costly one, is not.

        Raises:
            UserError: the parts were made under different protocols, or only some have METEOR.
        """
        if not parts:
            raise UserError("nothing to merge")
        if any(part.protocol != parts[0].protocol for part in parts):
            raise UserError("shards of different protocols cannot be merged")
        if len({part.meteor is None for part in parts}) > 1:
            raise UserError("only some shards have METEOR: compute it for all or for none")
        texts = Texts(
            [h for part in parts for h in part.texts.hypotheses], [r for part in parts for r in part.texts.references]
        )
        meteor_rows = None if parts[0].meteor is None else np.concatenate([part.meteor for part in parts])
        return _of_texts(texts, parts[0].protocol, meteor_rows)


def statistics(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    protocol: ProtocolConfig | None = None,
    *,
    meteor: bool = True,
    progress: bool = False,
) -> Statistics:
    """Statistics of replies under a protocol (none: the text as it is, every reference).

    Raises:
        UserError: the lists do not fit, or METEOR's data is missing.
    """
    protocol = protocol or ProtocolConfig(name="none")
    texts = apply(hypotheses, references, protocol)
    rows = None
    if meteor:
        from dialoeval.metrics.meteor15 import statistics as meteor_statistics

        rows = meteor_statistics(texts.hypotheses, texts.references, progress=progress)
    return _of_texts(texts, protocol, rows)


def _of_texts(texts: Texts, protocol: ProtocolConfig, meteor_rows: np.ndarray | None) -> Statistics:
    written = texts.for_mteval(protocol)
    words = tokenize([*written.hypotheses, *(r for refs in written.references for r in refs)])
    hypotheses, rest = words[: len(texts.hypotheses)], iter(words[len(texts.hypotheses) :])
    references = [[next(rest) for _ in refs] for refs in texts.references]
    counts = overlap(hypotheses, references)
    return Statistics(
        texts,
        protocol,
        mteval_nist.statistics(counts),
        mteval_bleu.statistics(counts),
        meteor_rows,
        Diversity([line.split() for line in texts.hypotheses]),
        np.array([len(refs) > 0 for refs in texts.references], dtype=bool),
    )
