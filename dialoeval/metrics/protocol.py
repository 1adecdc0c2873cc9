"""The text that a protocol gives to the official tools: reference slots and cleaning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dialoeval.config import ProtocolConfig
from dialoeval.text import clean as cleaning
from dialoeval.text.mteval import xml_line


@dataclass(frozen=True)
class Texts:
    """Cleaned replies, each with its cleaned references in their slots."""

    hypotheses: list[str]
    references: list[list[str]]

    def for_mteval(self, protocol: ProtocolConfig) -> Texts:
        """Return the text as the evaluation scripts write it into mteval's XML."""
        xml_lines: dict[str, str] = {}

        def xml(line: str) -> str:
            if line not in xml_lines:
                xml_lines[line] = xml_line(line, protocol.empty_word)
            return xml_lines[line]

        return Texts([xml(h) for h in self.hypotheses], [[xml(r) for r in refs] for refs in self.references])


def apply(hypotheses: Sequence[str], references: Sequence[Sequence[str]], protocol: ProtocolConfig) -> Texts:
    """Choose the reference slots, and clean replies and references; `references[i]` are those of reply i."""
    slots = [reference_slots(refs, protocol) for refs in references]
    hypotheses = [_one_line(h) for h in hypotheses]
    slots = [[_one_line(r) for r in refs] for refs in slots]
    if protocol.clean == "dstc7":
        flat = iter(cleaning.clean([*hypotheses, *(r for refs in slots for r in refs)]))
        hypotheses = [next(flat) for _ in hypotheses]
        slots = [[next(flat) for _ in refs] for refs in slots]
    return Texts(hypotheses, slots)


def reference_slots(references: Sequence[str], protocol: ProtocolConfig) -> list[str]:
    """Return the references that a reply is scored against.

    With ``slots=0`` these are all references except the held-out one, unless it is the only one. Otherwise slot i holds
    reference i modulo their number, or the next one if that is the held-out human reply, as in DSTC7's extraction
    script. Fewer references than slots therefore repeat.
    """
    if not references:
        return []
    held_out = protocol.held_out
    if not protocol.slots:
        return [reference for i, reference in enumerate(references) if i != held_out or len(references) == 1]
    slots = []
    for slot in range(protocol.slots):
        index = slot % len(references)
        if index == held_out:
            index = (index + 1) % len(references)
        slots.append(references[index])
    return slots


def _one_line(text: str) -> str:
    """Replace line breaks by spaces, since the official tools read one reply per line."""
    if "\n" in text or "\r" in text:
        return text.replace("\r\n", " ").replace("\n", " ").replace("\r", " ")
    return text
