"""Shapes of published dialogue data: the columns that tell each, and the mapping that reads it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from dialoeval.config.schema import ColumnsConfig


@dataclass(frozen=True)
class Shape:
    """A column mapping, and what tells that it fits.

    Attributes:
        name: the option of conf/dataset/ that reads the data.
        keys: columns that all rows have.
        columns: the mapping.
        own_names: no other data has these columns, so that a file of any dataset can be told by them.
    """

    name: str
    keys: frozenset[str]
    columns: ColumnsConfig
    own_names: bool = True


def _shape(name: str, keys: str, columns: ColumnsConfig, own_names: bool = True) -> Shape:
    return Shape(name, frozenset(keys.split("/")), columns, own_names)


UNQUOTED = frozenset(("conv_id", "utterance_idx", "utterance", "selfeval"))
"""Columns of CSV that writes a comma of the text as ``_comma_`` and takes quotation marks as they are."""

_EOU = {"__eou__": " ", "__eot__": " "}

SHAPES = (
    _shape("empathetic", "conv_id/utterance_idx/speaker_idx/utterance", ColumnsConfig(
        group="conv_id", order="utterance_idx", text="utterance", role="speaker_idx", replace={"_comma_": ","})),
    _shape("topical_chat", "content/article_url", ColumnsConfig(turns="content", text="message", role="agent")),
    _shape("topical_chat", "content/conversation_rating", ColumnsConfig(turns="content", text="message", role="agent")),
    _shape("wizard", "dialog/chosen_topic", ColumnsConfig(
        turns="dialog", text="text", role="speaker", replies_by=["*wizard"])),
    _shape("blended_skill_talk", "free_turker_utterance/guided_turker_utterance/dialog", ColumnsConfig(
        turns=["free_turker_utterance", "guided_turker_utterance", "dialog"])),
    _shape("blended_skill_talk", "previous_utterance/free_messages/guided_messages", ColumnsConfig(
        turns=[["previous_utterance"], ["free_messages", "guided_messages"]])),
    _shape("blended_skill_talk", "free_messages/guided_messages", ColumnsConfig(
        turns=["free_messages", "guided_messages"])),
    _shape("multiwoz", "goal/log", ColumnsConfig(turns="log", text="text", replies_by="second")),
    _shape("multiwoz", "dialogue_id/services/turns", ColumnsConfig(
        id="dialogue_id", turns="turns", text="utterance", role="speaker", replies_by=["system", "1"])),
    _shape("ubuntu", "Context/Utterance/Label", ColumnsConfig(
        context="Context", references="Utterance", turn_separator="__eot__", replace=_EOU,
        where={"Label": ["1", "1.0", "True"]})),
    _shape("ubuntu", "Context/Ground Truth Utterance", ColumnsConfig(
        context="Context", references="Ground Truth Utterance", turn_separator="__eot__", replace=_EOU)),
    _shape("dailydialog_multiref", "dialogue/dialogue.responses", ColumnsConfig(
        turns="dialogue", text="text", responses="responses")),
    _shape("dailydialog", "dialog/act/emotion", ColumnsConfig(turns="dialog")),
    _shape("dailydialog", "dialogue/topic", ColumnsConfig(turns="dialogue", text="text"), False),
    _shape("dailydialog", "dialogue", ColumnsConfig(turns="dialogue"), False),
    _shape("dailydialog", "dialog", ColumnsConfig(turns="dialog"), False),
    _shape("messages", "messages", ColumnsConfig(turns="messages"), False),
    _shape("messages", "conversations", ColumnsConfig(turns="conversations"), False),
    _shape("messages", "conversation", ColumnsConfig(turns="conversation"), False),
)  # fmt: skip
"""In the order they are tried: the first whose columns a table has is its shape."""

# Columns of whole conversations, of prompts and their replies, and of conversations that utterances belong to.
_TURNS = ("turns", "dialogue", "dialog", "utterances", "conversation_turns", "history_and_reply")
_PAIRS = (
    ("prompt", ("response", "completion", "reply", "answer", "chosen")),
    ("instruction", ("output", "response")),
    ("question", ("answer", "response")),
    ("context", ("response", "reply", "target", "label")),
    ("query", ("response", "reply", "answer")),
    ("history", ("response", "reply")),
    ("post", ("response", "reply", "comment")),
    ("source", ("target",)),
    ("src", ("tgt",)),
    ("input", ("output", "target", "response")),
)
_GROUPS = ("conversation_id", "dialogue_id", "dialog_id", "conv_id", "thread_id", "session_id")
_TEXTS = ("utterance", "text", "message", "content")
_ORDERS = ("turn_id", "utterance_id", "utterance_idx", "turn", "turn_index", "index", "order", "timestamp")
# Other kinds of data, and the columns that tell them.
_KINDS = (
    ("oasst", {"message_tree_id", "prompt"}),
    ("oasst", {"message_id", "parent_id", "text", "role"}),
)


def named(name: str, names: Iterable[str]) -> ColumnsConfig | None:
    """Return the mapping of a published dataset for a table with these columns, or None if it does not fit."""
    columns = set(names)
    return next((shape.columns for shape in SHAPES if shape.name == name and shape.keys <= columns), None)


def guess(names: Sequence[str]) -> ColumnsConfig | None:
    """Return a mapping for a table with these columns, or None if none is sure."""
    columns = set(names)
    if "context" in columns and columns & {"references", "reference"}:
        return ColumnsConfig(context="context")
    for shape in SHAPES:
        if shape.keys <= columns and (shape.own_names or not columns & {"context", "references", "reference"}):
            return shape.columns
    for context, replies in _PAIRS:
        if context in columns and (reply := next((r for r in replies if r in columns), None)):
            return ColumnsConfig(context=context, references=reply)
    if "context" in columns:
        return ColumnsConfig(context="context")
    for group in _GROUPS:
        if group in columns and (text := next((t for t in _TEXTS if t in columns), None)):
            return ColumnsConfig(group=group, text=text, order=next((o for o in _ORDERS if o in columns), None))
    if turns := next((t for t in _TURNS if t in columns), None):
        return ColumnsConfig(turns=turns)
    return None


def lookalike(names: Iterable[str]) -> str | None:
    """Return the option of conf/dataset/ that reads a table with these columns, or None."""
    columns = set(names)
    found = next((name for name, keys in _KINDS if keys <= columns), None)
    return found or next((shape.name for shape in SHAPES if shape.keys <= columns), None)


def settings(columns: ColumnsConfig) -> tuple[str, ...]:
    """Return a mapping as settings of the command line."""
    default = ColumnsConfig()
    given = [(f.name, getattr(columns, f.name)) for f in fields(columns)]
    return tuple(
        f"dataset.columns.{name}={_written(value)}" for name, value in given if value != getattr(default, name)
    )


def _written(value: object) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quoted(str(key))}:{_written(item)}" for key, item in value.items()) + "}"
    return _quoted(str(value)) if isinstance(value, str) else str(value)


def _quoted(text: str) -> str:
    return text if text.replace("_", "").replace(".", "").isalnum() else "'" + text.replace("'", "\\'") + "'"
