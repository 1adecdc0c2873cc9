"""The text that a protocol gives to the official tools: reference slots and cleaning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from dialoeval.config import ProtocolConfig
from dialoeval.config.groups import find_option
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


def holds_out(references: Sequence[str], protocol: ProtocolConfig) -> bool:
    """Return whether the protocol leaves the held-out human reply out of these references; an only one it uses."""
    return protocol.held_out is not None and len(references) > max(1, protocol.held_out)


def signed_name(protocol: ProtocolConfig) -> str:
    """Return the protocol's name for signatures: ``dstc7(changed)`` if its settings are not those of conf/protocol/."""
    settings = _shipped(protocol.name)
    return protocol.name if settings in (None, asdict(protocol)) else f"{protocol.name}(changed)"


@lru_cache
def _shipped(name: str) -> dict[str, Any] | None:
    """Return the settings of the protocol of that name, in any case, or None if there is none; without Hydra."""
    import yaml

    option = find_option("protocol", str(name).strip().lower())
    if option is None:
        return None
    settings = yaml.safe_load(option.file.read_text(encoding="utf-8"))
    settings.pop("defaults", None)
    return asdict(ProtocolConfig(**settings))


def _one_line(text: str) -> str:
    """Replace line breaks by spaces, since the official tools read one reply per line."""
    if "\n" in text or "\r" in text:
        return text.replace("\r\n", " ").replace("\n", " ").replace("\r", " ")
    return text
