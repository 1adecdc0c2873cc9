"""The replies of one system to score, with what they are scored against, as given and as the protocol has them."""

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
from dialoeval.metrics.protocol import Texts, apply, reference_slots
from dialoeval.text.mteval import tokenize


@dataclass(frozen=True)
class Corpus:
    """n replies with their references.

    Attributes:
        hypotheses: the replies as given.
        references: for each reply the protocol's references, each once, before cleaning.
        contexts: for each reply the turns before it, or None if they are not known.
        texts: replies and references (in their slots) after the protocol's cleaning.
        protocol: which protocol that was.
    """

    hypotheses: list[str]
    references: list[list[str]]
    contexts: list[list[str]] | None
    texts: Texts
    protocol: ProtocolConfig

    def __len__(self) -> int:
        return len(self.hypotheses)

    @cached_property
    def judged(self) -> npt.NDArray[np.bool_]:
        """(n,) whether a reply has a reference; the others take no part in metrics that need one."""
        return np.array([len(refs) > 0 for refs in self.texts.references], dtype=bool)

    @cached_property
    def words(self) -> list[list[str]]:
        """The cleaned replies split at white space: the words of the diversity figures."""
        return [line.split() for line in self.texts.hypotheses]

    @cached_property
    def overlap(self) -> Overlap:
        """N-gram matches with the references on mteval's tokens, which NIST and BLEU share."""
        written = self.texts.for_mteval(self.protocol)
        tokens = tokenize([*written.hypotheses, *(r for refs in written.references for r in refs)])
        hypotheses, rest = tokens[: len(self)], iter(tokens[len(self) :])
        return overlap(hypotheses, [[next(rest) for _ in refs] for refs in self.texts.references])

    def joined(self, other: Corpus) -> Corpus:
        """Return the replies of both as one corpus of the same protocol, this one's first."""
        contexts = None if self.contexts is None or other.contexts is None else self.contexts + other.contexts
        texts = Texts(self.texts.hypotheses + other.texts.hypotheses, self.texts.references + other.texts.references)
        return Corpus(
            self.hypotheses + other.hypotheses, self.references + other.references, contexts, texts, self.protocol
        )


def corpus(
    hypotheses: Iterable[str],
    references: Iterable[Iterable[str]],
    protocol: ProtocolConfig | None = None,
    contexts: Iterable[Iterable[str]] | None = None,
) -> Corpus:
    """Bring replies and references under a protocol (None: the text as it is, every reference).

    Raises:
        UserError: the lists do not fit, or an entry is not text.
    """
    protocol = protocol or ProtocolConfig(name="none")
    replies, lists = paired_inputs(hypotheses, references)
    turns = None if contexts is None else context_lists(contexts, len(replies))
    chosen = [list(dict.fromkeys(reference_slots(refs, protocol))) for refs in lists]
    return Corpus(replies, chosen, turns, apply(replies, lists, protocol), protocol)


def require_same(a: Corpus, b: Corpus) -> None:
    """Refuse two systems that were not scored against the same references under the same protocol.

    Raises:
        UserError: they differ.
    """
    if a.texts.references != b.texts.references or a.protocol != b.protocol:
        raise UserError("two systems can be compared only on the same references and protocol")


def join(parts: Sequence[Corpus]) -> Corpus:
    """Return all parts as one corpus, in the order given.

    Raises:
        UserError: there are no parts, or their protocols differ.
    """
    if not parts:
        raise UserError("nothing to merge")
    if any(part.protocol != parts[0].protocol for part in parts):
        raise UserError("shards of different protocols cannot be merged")
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.joined(part)
    return whole
