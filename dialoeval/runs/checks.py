"""What the files of a run folder must look like, so that a damaged one is named instead of stumbled over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def reply_fault(row: Any) -> str | None:
    """What is wrong with a row of replies.jsonl, or None."""
    if not isinstance(row, dict):
        return f"expected a JSON object, found {type(row).__name__}"
    fields: dict[str, tuple[str, Callable[[Any], bool]]] = {
        "id": ("a text", _text),
        "context": ("a list of texts", _texts),
        "reply": ("a text", _text),
        "tokens": ("a whole number", _whole),
        "logprob": ("a number or null", lambda value: value is None or _number(value)),
        "finish": ("a text", _text),
        "dropped_turns": ("a whole number", _whole),
    }
    for name, (kind, fits) in fields.items():
        if not fits(row.get(name)):
            return f'field "{name}" must be {kind}'
    candidates = row.get("candidates", [])
    if not isinstance(candidates, list) or not all(isinstance(candidate, dict) for candidate in candidates):
        return 'field "candidates" must be a list of objects'
    return None


def references_fault(row: Any) -> str | None:
    """What is wrong with a row of references.jsonl, or None."""
    if not isinstance(row, dict) or not _text(row.get("id")):
        return 'field "id" must be a text'
    return None if _texts(row.get("references")) else 'field "references" must be a list of texts'


def precision_fault(found: Any) -> str | None:
    """What is wrong with the object of precision.json, or None."""
    if not isinstance(found, dict):
        return f"expected a JSON object, found {type(found).__name__}"
    if not _text(found.get("dtype")):
        return 'field "dtype" must be a text'
    for name in ("sample", "differing"):
        if not _whole(found.get(name)):
            return f'field "{name}" must be a whole number'
    if not _number(found.get("share")):
        return 'field "share" must be a number'
    interval = found.get("interval")
    if not isinstance(interval, list) or len(interval) != 2 or not all(map(_number, interval)):
        return 'field "interval" must be a list of two numbers'
    return None


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
