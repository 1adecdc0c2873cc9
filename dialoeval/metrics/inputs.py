"""Conversion of a caller's replies, references and contexts to lists of strings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dialoeval.errors import UserError


def reply_list(hypotheses: Iterable[str]) -> list[str]:
    """Return the replies as a list of strings.

    Args:
        hypotheses: a list, tuple, generator, numpy array or pandas Series of n strings.

    Raises:
        UserError: the argument has another type, or an entry is not a string (None, NaN, a number); the message names
            its position.
    """
    return [_text(item, f"hypotheses[{i}]") for i, item in enumerate(_items(hypotheses, "hypotheses"))]


def reference_lists(references: Iterable[Iterable[str]]) -> list[list[str]]:
    """Return the references of each reply as a list.

    Args:
        references: n sequences of strings, of any lengths; each of a type that `reply_list` accepts.

    Raises:
        UserError: an entry is not a sequence of strings, naming its position.
    """
    lists = []
    for i, entry in enumerate(_items(references, "references")):
        where = f"references[{i}]"
        if not _is_list(entry):
            raise UserError(
                f"{where} is not a list of strings but {_kind(entry)}: it holds the references of reply {i}"
            )
        lists.append([_text(item, f"{where}[{k}]") for k, item in enumerate(entry)])
    return lists


def context_lists(contexts: Iterable[Iterable[str]], replies: int) -> list[list[str]]:
    """Return the context turns of each reply as a list.

    Raises:
        UserError: an entry is not a sequence of strings, or there are not `replies` entries.
    """
    lists = []
    for i, entry in enumerate(_items(contexts, "contexts")):
        if not _is_list(entry):
            raise UserError(f"contexts[{i}] is not a list of turns but {_kind(entry)}")
        lists.append([_text(item, f"contexts[{i}][{k}]") for k, item in enumerate(entry)])
    if len(lists) != replies:
        raise UserError(f"{replies} replies but {len(lists)} contexts: contexts[i] holds the turns before reply i")
    return lists


def paired_inputs(hypotheses: Iterable[str], references: Iterable[Iterable[str]]) -> tuple[list[str], list[list[str]]]:
    """Return (replies, references of each reply) as lists.

    Raises:
        UserError: as `reply_list` and `reference_lists`, or the lengths differ.
    """
    replies, lists = reply_list(hypotheses), reference_lists(references)
    if len(replies) != len(lists):
        raise UserError(
            f"{len(replies)} replies but {len(lists)} lists of references: references[i] is the list of the "
            "references of reply i"
        )
    return replies, lists


def _items(values: Any, name: str) -> Iterable[Any]:
    """Return `values` if they can be iterated in a meaningful order."""
    if isinstance(values, str | bytes):
        raise UserError(f"{name} is one string, not a list: give a list with one entry for each reply")
    if isinstance(values, Mapping | set | frozenset):
        raise UserError(f"{name} is a {type(values).__name__}, which has no order to match by: give a list")
    if type(values).__name__ == "DataFrame":
        raise UserError(f"{name} is a DataFrame: give one of its columns")
    if not _is_list(values):
        raise UserError(f"{name} is not a list but {_kind(values)}")
    items: Iterable[Any] = values
    return items


def _is_list(value: Any) -> bool:
    """Return whether a value holds entries in order: not a string, a dict, a frame, or an array without dimensions."""
    if isinstance(value, str | Mapping) or type(value).__name__ == "DataFrame":
        return False
    return isinstance(value, Iterable) and getattr(value, "ndim", 1) > 0


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise UserError(f"{where} is {_kind(value)}, not a string")
    return str(value)  # numpy's own string type becomes Python's


def _kind(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, float) and value != value:
        return "NaN (a missing value)"
    if type(value).__name__ in ("NAType", "NaTType"):
        return f"{value} (a missing value)"
    return type(value).__name__
