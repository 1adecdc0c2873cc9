"""ParlAI's numbered text: ``N text<TAB>reply<TAB><TAB>candidate|candidate``, in which 1 begins a conversation.

Lines that state a persona go to the system text (the one who replies is "your persona"); the other's are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from dialoeval.config import DatasetConfig
from dialoeval.data.columns import ADVICE, gather_counted
from dialoeval.data.content import content
from dialoeval.data.example import Dataset, Example
from dialoeval.data.sources.file import paths
from dialoeval.errors import UserError

_NUMBERED = re.compile(r"(\d+) (.*)", re.DOTALL)
_OWN = "your persona: "
_OTHER = ("partner's persona: ", "their persona: ")
_SILENCE = "__SILENCE__"  # the first text of a conversation that the replying speaker begins


def load(config: DatasetConfig) -> Dataset:
    """Read an example for each line with a reply; its id is ``CONVERSATION:LINE``.

    Raises:
        UserError: a line does not begin with its number, or has no text; the message names file and line.
    """
    return gather_counted(config, "ParlAI text", _examples)


def dialogues(config: DatasetConfig) -> list[tuple[str, ...]]:
    """Read whole conversations: the last example of each, with its reply."""
    whole: dict[str, tuple[str, ...]] = {}
    for _, example in _examples(config, Counter(), []):
        whole[example.id.rpartition(":")[0]] = (*example.context, *example.references[:1])
    return list(whole.values())[: config.limit]


def _examples(
    config: DatasetConfig, counts: Counter[str], skipped: list[tuple[str, str]]
) -> Iterator[tuple[str, Example]]:
    conversation = 0
    turns: list[str] = []
    persona: list[str] = []
    broken = False
    for path in paths(config):
        for number, line in content(path).text_lines():
            if not line.strip():
                continue
            where = f"{path}, line {number}"
            match = _NUMBERED.match(line)
            problem = "" if match else "expected a line number and a text, as in ParlAI's files"
            fields = match.group(2).split("\t") if match else []
            if match and match.group(1) == "1":
                conversation, turns, persona, broken = conversation + 1, [], [], False
            if fields:
                fields[0] = _without_personas(fields[0], persona, counts)
                if not fields[0].strip() and len(fields) < 2:
                    continue
            if broken:
                counts["lines of conversations with a bad line left out"] += 1
                continue
            if fields and not fields[0].strip() and not persona:
                problem = "the text before the reply is empty"
            if problem:
                if not config.skip_bad:
                    raise UserError(f"{where}: {problem}{ADVICE}")
                skipped.append((where, problem))
                broken = True  # without this line, the rest would be another conversation
                continue
            if fields[0].strip() not in ("", _SILENCE):
                turns.append(fields[0].strip())
            if len(fields) > 1 and fields[1].strip():
                replies = tuple(reply.strip() for reply in fields[1].split("|") if reply.strip())
                if turns:
                    name = f"{conversation}:{len(turns)}"
                    yield where, Example(name, tuple(turns), replies, "\n".join(persona) or None)
                else:
                    counts["replies that begin a conversation left out"] += 1
                turns.append(replies[0])


def _without_personas(text: str, persona: list[str], counts: Counter[str]) -> str:
    """Return a text without the lines of personas in it; those of the replying speaker are added to `persona`."""
    rest = []
    for piece in text.split("\\n"):
        if piece.startswith(_OWN):
            persona.append(piece)
        elif piece.startswith(_OTHER):
            counts["lines of the other speaker's persona left out"] += 1
        else:
            rest.append(piece)
    return " ".join(rest)
