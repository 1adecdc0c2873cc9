"""Conversations: turns with speakers, and the examples they give: whose turns are replies, and what is left out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from dialoeval.config.schema import ColumnsConfig
from dialoeval.data.example import Example
from dialoeval.errors import UserError

TEXT_FIELDS = ("text", "content", "value", "utterance", "message", "body")
ROLE_FIELDS = ("role", "from", "speaker", "agent", "author", "sender")
ASSISTANTS = frozenset(("assistant", "gpt", "chatgpt", "bot", "chatbot", "model", "ai", "bing", "bard", "claude"))
USERS = frozenset(("user", "human", "prompter", "customer", "client", "usr", "u", "seeker", "patient", "questioner"))
SYSTEM = frozenset(("system", "developer"))
TOOLS = frozenset(
    (
        *("tool", "function", "ipython", "observation", "tool_call", "tool_response", "tool_result"),
        *("function_call", "function_response"),
    )
)
ANY = "any"
_BY_TURN = ("first", "second")  # speakers of turns that name none
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Turn:
    """One turn.

    Attributes:
        index: position in the conversation as it was read.
        text: of the turn.
        speaker: as the data names it; None if it names none.
        references: replies to this turn that the data gives beside the conversation; None if it gives none.
    """

    index: int
    text: str
    speaker: str | None = None
    references: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Conversation:
    """Turns of which every one has a text, and the text of the system."""

    turns: tuple[Turn, ...]
    system: str | None = None


@dataclass
class Reader:
    """Turns of raw values under a column mapping.

    Attributes:
        columns: the mapping.
        counts: {what was left out or changed: how often}.
    """

    columns: ColumnsConfig
    counts: Counter[str] = field(default_factory=Counter)

    def conversation(self, values: Sequence[Any], name: str) -> Conversation:
        """Return the conversation of raw turns: texts, objects, ``[speaker, text]``, or ``[text, reply]`` pairs.

        Tool turns, and empty turns of speakers, are left out and counted; system text is taken out. Consecutive turns
        of one speaker are joined by a space.

        Raises:
            UserError: a turn has no text, or a text of another kind; the message names `name` and the position.
        """
        turns = list(self._turns(values, name))
        systems = [turn for turn in turns if self._is_system(turn, turns)]
        kept: list[Turn] = []
        last = -1  # index of the last turn that was kept or joined: turns are joined only to their neighbours
        system: list[str] = []
        for turn in turns:
            if turn in systems:
                if kept or not turn.text.strip():
                    self.counts["system turns inside a conversation left out"] += 1
                else:
                    system.append(turn.text)
            elif turn.speaker is not None and turn.speaker.lower() in TOOLS:
                self.counts["tool turns left out"] += 1
            elif not turn.text.strip():
                self.counts["empty turns left out"] += 1
            elif last == turn.index - 1 and _same_speaker(kept[-1:], turn) and turn.references is None:
                last = turn.index
                self.counts["turns joined to the speaker's turn before"] += 1
                kept[-1] = replace(kept[-1], text=f"{kept[-1].text} {turn.text}")
            else:
                last = turn.index
                kept.append(turn)
        return Conversation(tuple(kept), "\n".join(system) or None)

    def examples(self, conversation: Conversation, name: str) -> Iterator[Example]:
        """Yield an example for each reply of a conversation, with the id ``NAME:INDEX of the reply's turn``."""
        turns = conversation.turns
        if self.columns.responses is not None:
            for i, turn in enumerate(turns):
                if turn.references:
                    context = tuple(earlier.text for earlier in turns[: i + 1])
                    yield Example(f"{name}:{turn.index + 1}", context, turn.references, conversation.system)
            return
        replying = self._replying(turns)
        found = False
        for i in range(1, len(turns)):
            if _same_speaker(turns[i - 1 : i], turns[i]):
                self.counts["turns after a turn of the same speaker that are no replies"] += 1
            elif replying(turns[i]):
                context = tuple(turn.text for turn in turns[:i])
                speakers = [turn.speaker or "" for turn in turns[: i + 1]]
                yield Example(
                    f"{name}:{turns[i].index}",
                    context,
                    (turns[i].text,),
                    conversation.system,
                    tuple(speakers) if any(speakers) else (),
                )
                found = True
            elif turns[i].speaker is not None:
                self.counts["turns of other speakers that are no replies"] += 1
        if not found:
            self.counts["conversations without a reply"] += 1

    def texts(self, value: Any, name: str) -> tuple[tuple[str, ...], str | None]:
        """Return the texts of a context's turns, and its system text."""
        conversation = self.conversation(value, name)
        return tuple(turn.text for turn in conversation.turns), conversation.system

    def clean(self, text: str, name: str) -> str:
        """Return a text after the replacements of the mapping.

        Raises:
            UserError: it contains half of a surrogate pair.
        """
        if _LONE_SURROGATE.search(text):
            raise UserError(f"field {name!r} contains a lone surrogate, which is not valid text")
        replaced = text
        for old, new in self.columns.replace.items():
            replaced = replaced.replace(str(old), "" if new is None else str(new))
        return text if replaced == text else re.sub(" {2,}", " ", replaced).strip()

    @property
    def _by_turn(self) -> bool:
        """Whether turns that name no speaker are those of two speakers in turn."""
        return self.columns.replies_by in (*_BY_TURN, [_BY_TURN[0]], [_BY_TURN[1]])

    def _turns(self, values: Sequence[Any], name: str) -> Iterator[Turn]:
        values = _flattened(values)
        for index, value in enumerate(values):
            where = f"field {name!r}: entry {index + 1} of the list"
            if isinstance(value, str):
                yield self._text_turn(index, value, name, where)
            elif isinstance(value, Mapping):
                yield self._object_turn(index, value, name, where)
            elif isinstance(value, _Spoken):
                yield Turn(index, self.clean(value.text, name), value.speaker)
            else:
                raise UserError(f"{where} must be a string, found {kind(value)}")

    def _text_turn(self, index: int, text: str, name: str, where: str) -> Turn:
        if not text.strip():
            raise UserError(f"{where} is empty")
        speaker = None
        if self.columns.speaker_separator:
            before, separator, after = text.partition(self.columns.speaker_separator)
            if not separator:
                raise UserError(f"{where} names no speaker: it has no {self.columns.speaker_separator!r}")
            speaker, text = before.strip(), after.strip()
        elif self._by_turn:
            speaker = _BY_TURN[index % 2]
        return Turn(index, self.clean(text, name), speaker)

    def _object_turn(self, index: int, value: Mapping[Any, Any], name: str, where: str) -> Turn:
        key = self.columns.text
        if key is None:
            present = [k for k in TEXT_FIELDS if k in value]
            key = next((k for k in present if value[k] is not None), next(iter(present), None))
        if key is None or key not in value:
            keys = ", ".join(map(str, list(value)[:10]))
            raise UserError(f"{where}: no field for the text (the fields are: {keys}); set dataset.columns.text")
        text = _content(value[key], f"{where}, field {key!r}")
        role = self.columns.role
        if role is None:
            role = next((k for k in ROLE_FIELDS if value.get(k) is not None), None)
        speaker = value.get(role) if role is not None else None
        if isinstance(speaker, Mapping):  # {"author": {"role": "user"}}
            speaker = speaker.get("role", speaker.get("name"))
        if role is None and self._by_turn:
            speaker = _BY_TURN[index % 2]
        references = None
        if self.columns.responses is not None:
            listed = value.get(self.columns.responses) or ()
            if isinstance(listed, str) or not all(isinstance(item, str) for item in listed):
                raise UserError(f"{where}, field {self.columns.responses!r}: expected a list of strings")
            references = tuple(self.clean(item, name) for item in listed if item.strip())
            speaker = None
        return Turn(index, self.clean(text, name), None if speaker is None else str(speaker).strip(), references)

    def _is_system(self, turn: Turn, turns: Sequence[Turn]) -> bool:
        """Return whether a turn is the system's text, and not that of a dialogue system which replies."""
        if turn.speaker is None or turn.speaker.lower() not in SYSTEM or self.columns.replies_by is not None:
            return False
        speakers = {other.speaker.lower() for other in turns if other.speaker is not None}
        spoken = [other.index for other in turns if other.speaker is not None and other.speaker.lower() in SYSTEM]
        return bool(speakers & ASSISTANTS) or (len(spoken) == 1 and spoken[0] == turns[0].index)

    def _replying(self, turns: Sequence[Turn]) -> Any:
        speakers = {turn.speaker.lower() for turn in turns if turn.speaker is not None}
        asked = self.columns.replies_by
        if asked == ANY or (asked is None and not speakers):
            return lambda turn: True
        if asked is not None:
            patterns = [str(item).lower() for item in (asked if isinstance(asked, list) else [asked])]
            return lambda turn: any(fnmatchcase((turn.speaker or "").lower(), pattern) for pattern in patterns)
        if speakers & ASSISTANTS:
            return lambda turn: (turn.speaker or "").lower() in ASSISTANTS
        return lambda turn: (turn.speaker or "").lower() not in USERS


@dataclass(frozen=True)
class _Spoken:
    speaker: str
    text: str


def _flattened(values: Sequence[Any]) -> Sequence[Any]:
    """Return turns of nested pairs: ``[speaker, text]`` is a turn, ``[text, reply]`` are two."""
    pairs = [value for value in values if isinstance(value, list | tuple)]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        return values
    firsts = [first for first, _ in pairs]
    if len(pairs) < len(values):  # texts, then turns with the number of their speaker
        numbered = all(type(first) is int and isinstance(second, str) for first, second in pairs)
        return [value[1] if isinstance(value, list | tuple) else value for value in values] if numbered else values
    if not all(isinstance(second, str) or second is None for _, second in pairs):
        return values
    if not all(isinstance(first, str) for first in firsts) or _are_speakers(firsts):
        return [_Spoken(str(first), second or "") for first, second in pairs]
    return [
        _Spoken(speaker, text or "")
        for pair in pairs
        for speaker, text in zip(("user", "assistant"), pair, strict=True)
    ]


_NUMBERED = re.compile(r"[A-Za-z]|(speaker|agent|person|user|human|bot)[ _-]?[0-9A-Za-z]", re.IGNORECASE)


def _are_speakers(names: Sequence[str]) -> bool:
    """Return whether the first texts of pairs name speakers: in doubt they are turns."""
    known = ASSISTANTS | USERS | SYSTEM | TOOLS
    if all(name.strip().lower() in known or _NUMBERED.fullmatch(name.strip()) for name in names):
        return True
    return len(names) >= 4 and names[0] != names[1] and all(name == names[i % 2] for i, name in enumerate(names))


def _same_speaker(before: Sequence[Turn], turn: Turn) -> bool:
    return bool(before) and turn.speaker is not None and before[0].speaker == turn.speaker


def _content(value: Any, where: str) -> str:
    """Return the text of a turn: a string, null (no text), or content parts, joined."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):  # {"content_type": "text", "parts": [...]}
        return _content(value.get("parts", value.get("text")), where)
    if isinstance(value, list | tuple):
        parts = [part for part in value if isinstance(part, str) or (isinstance(part, Mapping) and "text" in part)]
        return " ".join(text for part in parts if (text := part if isinstance(part, str) else _content(part, where)))
    raise UserError(f"{where}: expected a text, found {kind(value)}")


def kind(value: Any) -> str:
    """Return what a value is, in the words of messages."""
    if value is None:
        return "nothing (null)"
    return {"dict": "an object", "list": "a list", "bool": "true or false", "str": "an empty string"}.get(
        type(value).__name__, f"a {type(value).__name__}"
    )
