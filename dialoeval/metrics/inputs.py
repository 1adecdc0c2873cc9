"""Conversion of a caller's replies, references and contexts to lists of strings."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any

from dialoeval.errors import UserError


def reply_list(hypotheses: Iterable[str]) -> list[str]:
    """Return the replies as a list of strings.

    Args:
        hypotheses: a list, tuple, generator, numpy or Arrow array or pandas Series of n strings.

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
    return _nested(references, "references", "strings: it holds the references of reply {i}")


def context_lists(contexts: Iterable[Iterable[str]], replies: int) -> list[list[str]]:
    """Return the context turns of each reply as a list.

    Raises:
        UserError: an entry is not a sequence of strings, or there are not `replies` entries.
    """
    lists = _nested(contexts, "contexts", "turns: it holds the turns before reply {i}")
    if len(lists) != replies:
        raise UserError(f"{replies} replies but {len(lists)} contexts: contexts[i] holds the turns before reply i")
    return lists


def paired_inputs(hypotheses: Iterable[str], references: Iterable[Iterable[str]]) -> tuple[list[str], list[list[str]]]:
    """Return (replies, references of each reply) as lists.

    Raises:
        UserError: as `reply_list` and `reference_lists`, or the lengths differ.
    """
    if hypotheses is references and isinstance(hypotheses, Iterator):
        raise UserError("hypotheses and references are the same iterator, which can be read only once: give lists")
    replies, lists = reply_list(hypotheses), reference_lists(references)
    if len(replies) != len(lists):
        raise UserError(
            f"{len(replies)} replies but {len(lists)} lists of references: references[i] is the list of the "
            "references of reply i"
        )
    return replies, lists


def _nested(values: Any, name: str, of: str) -> list[list[str]]:
    """Return a list of lists of strings; `of` says what an entry holds.

    Raises:
        UserError: an entry is not a sequence of strings, or an iterator occurs twice, the second time empty.
    """
    lists: list[list[str]] = []
    iterators: dict[int, tuple[int, Any]] = {}
    for i, entry in enumerate(_items(values, name)):
        where = f"{name}[{i}]"
        if fault := _no_list(entry):
            what, _, purpose = of.partition(":")
            raise UserError(f"{where} is not a list of {what} but {fault}:{purpose.format(i=i)}")
        if isinstance(entry, Iterator):
            first = iterators.setdefault(id(entry), (i, entry))[0]  # kept, so that no other object gets its id
            if first != i:
                raise UserError(f"{where} is the iterator of {name}[{first}], which can be read only once: give lists")
        lists.append([_text(item, f"{where}[{k}]") for k, item in enumerate(_values(entry))])
    return lists


def _items(values: Any, name: str) -> Iterable[Any]:
    """Return `values` if they can be iterated in a meaningful order."""
    if isinstance(values, str | bytes):
        raise UserError(f"{name} is one string, not a list: give a list with one entry for each reply")
    if isinstance(values, Mapping | Set):
        raise UserError(f"{name} is a {type(values).__name__}, which has no order to match by: give a list")
    if type(values).__name__ == "DataFrame":
        raise UserError(f"{name} is a DataFrame: give one of its columns")
    if fault := _no_list(values):
        raise UserError(f"{name} is not a list but {fault}")
    return _values(values)


def _no_list(value: Any) -> str:
    """Return what a value is if it does not hold entries in order, or an empty string.

    A set has no first entry (the protocols count places), and a dict or a file is not a list of texts.
    """
    refused = (str, bytes, bytearray, memoryview, Mapping, Set, io.IOBase)
    if isinstance(value, refused) or type(value).__name__ == "DataFrame" or not isinstance(value, Iterable):
        return _kind(value)
    return _kind(value) if getattr(value, "ndim", 1) == 0 else ""  # an array without dimensions


def _values(value: Any) -> Iterable[Any]:
    """Return the entries of a list; those of Arrow, whose scalars are no strings, as Python's."""
    entries: Iterable[Any] = value.to_pylist() if hasattr(value, "to_pylist") else value
    return entries


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise UserError(f"{where} is {_kind(value)}, not a string")
    return str.__str__(value)  # numpy's strings become Python's, and a member of a string enumeration its value


def _kind(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, float) and value != value:
        return "NaN (a missing value)"
    if type(value).__name__ in ("NAType", "NaTType"):
        return f"{value} (a missing value)"
    return type(value).__name__
