"""From replies and references to the text that the official tools are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dialoeval.config import ProtocolConfig
from dialoeval.text import clean as cleaning
from dialoeval.text.mteval import xml_line


@dataclass(frozen=True)
class Texts:
    """Cleaned replies, and the cleaned references of each in their slots."""

    hypotheses: list[str]
    references: list[list[str]]

    def for_mteval(self, protocol: ProtocolConfig) -> Texts:
        """The text as the evaluation scripts write it into mteval's XML."""
        known: dict[str, str] = {}

        def written(line: str) -> str:
            if line not in known:
                known[line] = xml_line(line, protocol.empty_word)
            return known[line]

        return Texts([written(h) for h in self.hypotheses], [[written(r) for r in refs] for refs in self.references])


def apply(hypotheses: Sequence[str], references: Sequence[Sequence[str]], protocol: ProtocolConfig) -> Texts:
    """Choose the reference slots and clean replies and references (`references[i]`: those of reply i)."""
    slots = [reference_slots(refs, protocol) for refs in references]
    hypotheses = [_one_line(h) for h in hypotheses]
    slots = [[_one_line(r) for r in refs] for refs in slots]
    if protocol.clean == "dstc7":
        flat = iter(cleaning.clean([*hypotheses, *(r for refs in slots for r in refs)]))
        hypotheses = [next(flat) for _ in hypotheses]
        slots = [[next(flat) for _ in refs] for refs in slots]
    return Texts(hypotheses, slots)


def reference_slots(references: Sequence[str], protocol: ProtocolConfig) -> list[str]:
    """The references that a reply is scored against.

    With ``slots=0``: each once, in order, but the held-out one. Otherwise slot i takes reference i modulo their number,
    and the one after the held-out reply's index where that would be the human reply (DSTC7's extraction script): few
    references repeat, and a single one fills all slots.
    """
    if not references:
        return []
    held_out = protocol.held_out
    if not protocol.slots:
        return [reference for i, reference in enumerate(references) if i != held_out or len(references) == 1]
    chosen = []
    for slot in range(protocol.slots):
        index = slot % len(references)
        if index == held_out:
            index = (index + 1) % len(references)
        chosen.append(references[index])
    return chosen


def _one_line(text: str) -> str:
    """Line breaks become spaces: the official tools read one reply a line."""
    if "\n" in text or "\r" in text:
        return text.replace("\r\n", " ").replace("\n", " ").replace("\r", " ")
    return text
