"""OpenAssistant's message trees or flat messages: the assistant's replies to one prompt are references together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from dialoeval.config import DatasetConfig
from dialoeval.data.columns import ADVICE, gather_counted
from dialoeval.data.content import content
from dialoeval.data.example import Dataset, Example
from dialoeval.data.formats import detect, rows
from dialoeval.data.sources.file import paths
from dialoeval.errors import UserError

_ROLES = {"prompter": False, "user": False, "assistant": True}


def load(config: DatasetConfig) -> Dataset:
    """Read an example for each prompt that the assistant replied to; its id is that of the prompt's message.

    Raises:
        UserError: a row is neither a tree nor a message (naming file, line and field).
    """
    return gather_counted(config, "message trees", _examples)


def _examples(
    config: DatasetConfig, counts: Counter[str], skipped: list[tuple[str, str]]
) -> Iterator[tuple[str, Example]]:
    flat: dict[str, tuple[str, dict[str, Any]]] = {}
    for path in paths(config):
        table = content(path)
        for row in rows(table, detect(table)):
            try:
                if isinstance(row.value, UserError):
                    raise row.value
                message = _tree(row.value)
                if message is None:
                    name = str(row.value["message_id"])
                    if name in flat:
                        raise UserError(f"the message {name!r} occurs twice (first at {flat[name][0]})")
                    flat[name] = (row.where, {**row.value, "replies": []})
                    continue
                if _is_left_out(message, counts):
                    continue
                found = list(_replied(message, (), counts))
            except UserError as error:
                if not config.skip_bad:
                    raise UserError(f"{row.where}: {error}{ADVICE}") from error
                skipped.append((row.where, str(error)))
                continue
            for example in found:
                yield row.where, example
    for where, message in _roots(flat, counts):
        for example in _replied(message, (), counts):
            yield where, example


def _tree(row: Mapping[Any, Any]) -> Mapping[str, Any] | None:
    """Return the first message of a tree; None if the row is a single message."""
    prompt = row.get("prompt")
    if isinstance(prompt, Mapping):
        return prompt
    if "message_id" in row and "text" in row and "role" in row:
        return row if "replies" in row else None
    raise UserError(
        "expected a tree (message_tree_id, prompt) or a message (message_id, parent_id, text, role); the fields are: "
        + ", ".join(map(str, list(row)[:10]))
    )


def _roots(
    flat: dict[str, tuple[str, dict[str, Any]]], counts: Counter[str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the first message of each tree of flat messages, with all replies in place."""
    roots = []
    for where, message in flat.values():
        parent = message.get("parent_id")
        if parent is None or parent != parent:
            roots.append((where, message))
        elif str(parent) in flat:
            flat[str(parent)][1]["replies"].append(message)
    reached = sum(1 for _, root in roots for _ in _below(root))
    if reached < len(flat):
        counts["messages in circles or without their parent left out"] += len(flat) - reached
    yield from (root for root in roots if not _is_left_out(root[1], counts))


def _below(message: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield a message and all below it."""
    pending = [message]
    while pending:
        pending += (message := pending.pop()).get("replies") or ()
        yield message


def _replied(message: Mapping[str, Any], context: tuple[str, ...], counts: Counter[str]) -> Iterator[Example]:
    """Yield an example for each message below this one, this one included, that the assistant replied to."""
    pending = [(message, context)]
    while pending:  # trees may be deeper than Python's stack
        message, context = pending.pop()
        text, name = message.get("text"), message.get("message_id")
        if not isinstance(text, str) or not isinstance(name, str):
            raise UserError('a message has no "text" or no "message_id"')
        turns = (*context, text)
        replies = [reply for reply in message.get("replies") or () if not _is_left_out(reply, counts)]
        counts["messages of unknown roles that are no replies"] += sum(
            str(r.get("role")) not in _ROLES for r in replies
        )
        references = tuple(str(reply.get("text")) for reply in replies if _ROLES.get(str(reply.get("role"))))
        if references:
            yield Example(name, turns, references)
        pending += [(reply, turns) for reply in reversed(replies)]


def _is_left_out(message: Mapping[str, Any], counts: Counter[str]) -> bool:
    if message.get("deleted"):
        counts["deleted messages, and messages below them, left out"] += sum(1 for _ in _below(message))
        return True
    if not str(message.get("text") or "").strip():
        counts["empty messages, and messages below them, left out"] += sum(1 for _ in _below(message))
        return True
    return False
