"""What a test set gives away or counts twice: duplicates, empty references, the human reply among the references."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from dialoeval.config import ProtocolConfig
from dialoeval.data.example import Example, human_reply
from dialoeval.text.plain_words import plain_text

SHOWN = 3  # ids of a leak that are named


@dataclass(frozen=True)
class Leak:
    """A fault of some examples.

    Attributes:
        name: for programs.
        what: for readers.
        ids: of the examples that have it, in order.
        looked_up: number of examples that could have it.
    """

    name: str
    what: str
    ids: tuple[str, ...]
    looked_up: int


def leaks(examples: Sequence[Example], humans: Mapping[str, str] | None = None) -> tuple[Leak, ...]:
    """Return the faults of a test set, also those that no example has.

    Texts are compared without case and punctuation, the human reply as it is.

    Args:
        examples: of the test set.
        humans: {id: human reply that is compared with the systems}; None if the data has none.
    """
    references = [[plain_text(text) for text in example.references] for example in examples]
    contexts = [tuple(map(plain_text, example.context)) for example in examples]
    wholes = [(turns, tuple(sorted(own))) for turns, own in zip(contexts, references, strict=True)]
    some = [bool(example.references) for example in examples]
    everything = [True] * len(examples)

    def leak(name: str, what: str, possible: Sequence[bool], has: Callable[[int], bool]) -> Leak:
        ids = tuple(examples[i].id for i, could in enumerate(possible) if could and has(i))
        return Leak(name, what, ids, sum(possible))

    firsts, first_wholes = _firsts(contexts), _firsts(wholes)
    found = [
        leak("no_references", "no reference", everything, lambda i: not some[i]),
        leak("one_reference", "one reference only", everything, lambda i: len(references[i]) == 1),
        leak("empty_references", "an empty reference, or one of punctuation", some, lambda i: not all(references[i])),
        leak("duplicate_references", "a reference twice", some, lambda i: _repeats(references[i])),
        leak("reference_in_context", "a reference that is a turn of the context", some,
             lambda i: bool({*references[i]} & {*contexts[i]} - {""})),
        leak("duplicate_contexts", "the context of an earlier example", everything, lambda i: firsts[contexts[i]] < i),
        leak("duplicate_examples", "context and references of an earlier example", everything,
             lambda i: first_wholes[wholes[i]] < i),
    ]  # fmt: skip
    if humans is not None:
        known = [example.id in humans for example in examples]
        found.append(leak("human_among_references", "the human reply among the references", known,
                          lambda i: humans[examples[i].id] in examples[i].references))  # fmt: skip
    return tuple(found)


def without_held_out(
    examples: Sequence[Example], protocol: ProtocolConfig
) -> tuple[list[Example], dict[str, str] | None]:
    """Return the examples without the human reply that is compared with the systems, and {id: human reply} or None.

    Such a reply is the one that a dataset keeps apart, or the reference that the protocol holds out.

    Args:
        examples: of the dataset.
        protocol: whose held-out reference is the human reply.
    """
    place, humans, kept = protocol.held_out, {}, []
    for example in examples:
        own = example.references
        human = human_reply(example.human, own, place)
        if example.human is None and place is not None and human is not None:
            own = (*own[:place], *own[place + 1 :])
        if human is not None and own:
            humans[example.id] = human
        kept.append(replace(example, references=own))
    return kept, humans or None


def _firsts(values: Sequence[object]) -> dict[object, int]:
    """Return {value: position of its first occurrence}."""
    firsts: dict[object, int] = {}
    for i, value in enumerate(values):
        firsts.setdefault(value, i)
    return firsts


def _repeats(texts: Sequence[str]) -> bool:
    return any(count > 1 for text, count in Counter(texts).items() if text)
