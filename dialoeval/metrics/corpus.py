"""The replies of one system with their references and contexts, before and after the protocol's cleaning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from dialoeval.config import ProtocolConfig
from dialoeval.errors import UserError
from dialoeval.metrics.inputs import context_lists, paired_inputs
from dialoeval.metrics.overlap import Overlap, overlap
from dialoeval.metrics.protocol import Texts, apply, holds_out, reference_slots
from dialoeval.text.mteval import tokenize


@dataclass(frozen=True)
class Corpus:
    """n replies with their references.

    Attributes:
        hypotheses: (n,) replies as given.
        references: for each reply, the protocol's distinct references before cleaning.
        contexts: for each reply, the turns before it; or None if unknown.
        texts: replies and references (in their slots) after the protocol's cleaning.
        protocol: protocol that was applied.
        held_out: number of replies whose held-out human reply was left out of the references.
    """

    hypotheses: list[str]
    references: list[list[str]]
    contexts: list[list[str]] | None
    texts: Texts
    protocol: ProtocolConfig
    held_out: int = 0

    def __len__(self) -> int:
        return len(self.hypotheses)

    @cached_property
    def judged(self) -> npt.NDArray[np.bool_]:
        """(n,) whether the reply has a reference, without which relevance metrics skip it."""
        return np.array([len(refs) > 0 for refs in self.texts.references], dtype=bool)

    @cached_property
    def words(self) -> list[list[str]]:
        """Cleaned replies split at white space, for the diversity figures."""
        return [line.split() for line in self.texts.hypotheses]

    @cached_property
    def overlap(self) -> Overlap:
        """N-gram matches with the references on mteval's tokens, for NIST and BLEU."""
        texts = self.texts.for_mteval(self.protocol)
        tokens = tokenize([*texts.hypotheses, *(r for refs in texts.references for r in refs)])
        hypotheses, rest = tokens[: len(self)], iter(tokens[len(self) :])
        return overlap(hypotheses, [[next(rest) for _ in refs] for refs in self.texts.references])

    def joined(self, other: Corpus) -> Corpus:
        """Return the replies of both as one corpus under the same protocol, this one's first."""
        contexts = None if self.contexts is None or other.contexts is None else self.contexts + other.contexts
        texts = Texts(self.texts.hypotheses + other.texts.hypotheses, self.texts.references + other.texts.references)
        return Corpus(
            self.hypotheses + other.hypotheses,
            self.references + other.references,
            contexts,
            texts,
            self.protocol,
            self.held_out + other.held_out,
        )


def corpus(
    hypotheses: Iterable[str],
    references: Iterable[Iterable[str]],
    protocol: ProtocolConfig | None = None,
    contexts: Iterable[Iterable[str]] | None = None,
) -> Corpus:
    """Return the corpus of replies and references under a protocol (None: text as given, all references).

    Raises:
        UserError: the lengths differ, or an entry is not a string.
    """
    protocol = protocol or ProtocolConfig(name="none")
    replies, lists = paired_inputs(hypotheses, references)
    turns = None if contexts is None else context_lists(contexts, len(replies))
    distinct = [list(dict.fromkeys(reference_slots(refs, protocol))) for refs in lists]
    held_out = sum(holds_out(refs, protocol) for refs in lists)
    return Corpus(replies, distinct, turns, apply(replies, lists, protocol), protocol, held_out)


def require_same(a: Corpus, b: Corpus) -> None:
    """Check that two systems have the same references and protocol.

    Raises:
        UserError: the references or protocols differ.
    """
    if a.texts.references != b.texts.references or a.protocol != b.protocol:
        raise UserError("two systems can be compared only on the same references and protocol")


def join(parts: Sequence[Corpus]) -> Corpus:
    """Return all parts as one corpus, in the order given.

    Raises:
        UserError: `parts` is empty, or the protocols differ.
    """
    if not parts:
        raise UserError("nothing to merge")
    if any(part.protocol != parts[0].protocol for part in parts):
        raise UserError("shards of different protocols cannot be merged")
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.joined(part)
    return whole
