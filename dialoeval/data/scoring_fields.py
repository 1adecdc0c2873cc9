"""The fields of a row of replies or references: named by the user (`FieldMap`), or told by their names and shapes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dialoeval.data.formats import Cells, parse_json
from dialoeval.data.rows import HypothesisRow, ReferenceRow
from dialoeval.errors import UserError, nearest

ID = (
    *("id", "example_id", "custom_id", "doc_id", "qid", "question_id", "query_id", "sample_id", "item_id"),
    *("uid", "uuid"),
)
REPLY = ("reply", "hypothesis", "prediction", "generated", "generation", "response", "output")
REFERENCES = ("references", "reference", "refs", "ref", "targets", "target")
CONTEXT = ("context",)
SYSTEM = ("system",)
HUMAN = "human"
_NUMBERED = re.compile(r"(?:references?|refs?)[ _-]?\d+")
_SHOWN = 10


@dataclass(frozen=True)
class FieldMap:
    """The places of fields that the user named. A place is a key, or keys and positions joined by dots.

    Attributes:
        id: None: told by its name.
        reply: None: told by its name.
        references: one place or several; empty: told by their names.
        context: None: told by its name.
    """

    id: str | None = None
    reply: str | None = None
    references: tuple[str, ...] = ()
    context: str | None = None

    @classmethod
    def parse(cls, text: str) -> FieldMap:
        """Return the map that ``reply=...,id=...,references=...`` stands for; ``references`` may be repeated.

        Raises:
            UserError: an entry is not ``field=place``, names an unknown field, or names a field twice.
        """
        places: dict[str, list[str]] = {"id": [], "reply": [], "references": [], "context": []}
        for entry in text.split(","):
            name, equals, place = (part.strip() for part in entry.partition("="))
            if not equals or not place:
                raise UserError(f"--map {text}: {entry!r} is not field=place, such as reply=output.text")
            if name not in places:
                raise UserError(f"--map {text}: no field {name!r}{nearest(name, places)} (known: {', '.join(places)})")
            if places[name] and name != "references":
                raise UserError(f"--map {text}: {name} is named twice")
            places[name].append(place)
        single = {name: places[name][0] for name in ("id", "reply", "context") if places[name]}
        return cls(references=tuple(places["references"]), **single)


def is_header(cells: Sequence[str], text_names: Sequence[str], mapped: Iterable[str]) -> bool:
    """Return whether the first line of a table names its columns: one cell is a name that is known or mapped."""
    names = [cell.strip().lower() for cell in cells]
    known = {*ID, *text_names} if len(cells) > 1 else set(text_names)
    named = any(name in known or (text_names is REFERENCES and _NUMBERED.fullmatch(name)) for name in names)
    return len(set(names)) == len(names) and (named or any(place in map(str.strip, cells) for place in mapped))


def all_known(cells: Sequence[str]) -> bool:
    """Return whether every cell of a line is the name of a field."""
    known = {*ID, *REPLY, *REFERENCES, *CONTEXT, *SYSTEM}
    return all(cell.strip().lower() in known or _NUMBERED.fullmatch(cell.strip().lower()) for cell in cells)


def hypotheses(row: Cells, where: str, fields: FieldMap) -> list[HypothesisRow]:
    """Return the replies of a row: several if it has several samples, or several exchanges.

    Raises:
        UserError: the reply cannot be told, or a field is missing or of the wrong type.
    """
    if fields.reply is None and (acts := _exchanges(row, where)):
        return [HypothesisRow(at, None, _text(model, "text", at), None, turns) for at, _, model, turns in acts]
    if fields.reply is not None:
        value, name = place(row, fields.reply, where), fields.reply
    elif (found := _shape(row, _REPLIES, where)) is not None:
        value, name = found, "reply"
    else:
        name = _told(row, REPLY, where, "reply")
        value = row[name]
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise UserError(f'{where}: field "{name}" must be a string, or a list of strings (several samples)')
    system = _optional(row, SYSTEM, where)
    if system is None and "doc_id" in row and row.get("filter") not in (None, "none"):
        system = _optional(row, ("filter",), where)
    key, turns = _id(row, fields, where), _context(row, fields, where)
    return [HypothesisRow(where, key, text, system, turns) for text in texts]


def references(row: Cells, where: str, fields: FieldMap) -> list[ReferenceRow]:
    """Return the references of a row: one entry, or one for each exchange of a conversation.

    Raises:
        UserError: the references cannot be told, or a field is missing or of the wrong type.
    """
    if not fields.references and (acts := _exchanges(row, where)):
        return [ReferenceRow(at, None, _labels(human, at)) for at, human, _, _ in acts]
    if fields.references:
        found = [(name, place(row, name, where)) for name in fields.references]
    elif numbered := [name for name in row if isinstance(name, str) and _NUMBERED.fullmatch(name.lower())]:
        single = [name for name in row if isinstance(name, str) and name.lower() in REFERENCES]
        found = [(name, row[name]) for name in (*single, *numbered)]
    else:
        name = _told(row, REFERENCES, where, "references")
        found = [(name, row[name])]
    texts: list[str] = []
    for name, value in found:
        texts += _listed(value, name, where, padded=len(found) > 1)
    human = row.get(HUMAN)  # as the references of a run have it beside them
    return [ReferenceRow(where, _id(row, fields, where), tuple(texts), human if isinstance(human, str) else None)]


def context(row: Cells, where: str, fields: FieldMap) -> tuple[str | None, tuple[str, ...]]:
    """Return the (id, turns) of a row of contexts.

    Raises:
        UserError: the context is missing or of the wrong type.
    """
    if fields.context is None:
        _told(row, CONTEXT, where, "context")
    return _id(row, fields, where), _context(row, fields, where)


def place(row: Cells, path: str, where: str) -> Any:
    """Return the value at a place: a key, a position in a list, or several of them joined by dots.

    Raises:
        UserError: there is nothing at that place.
    """
    if path in row:
        return row[path]
    value: Any = row
    for step in path.split("."):
        position = int(step) if step.isascii() and step.isdigit() and len(step) < 10 else None
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif position is not None and position in (value if isinstance(value, Mapping) else range(_length(value))):
            value = value[position]
        else:
            raise UserError(f'{where}: field "{path}" is missing: {keys(row)}')
    return value


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0


def keys(row: Cells) -> str:
    """Return the first keys of a row, in words."""
    names = list(map(str, row))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return _printable(f"the keys are {', '.join(name[:40] for name in names[:_SHOWN])}{more}")


def checked(text: str, name: str, where: str) -> str:
    """Return a name that is printed and written to files.

    Raises:
        UserError: it holds a lone surrogate, which no UTF-8 file can hold.
    """
    if lone := next((c for c in text if "\ud800" <= c <= "\udfff"), None):
        raise UserError(f'{where}: field "{name}" holds a lone surrogate (\\u{ord(lone):04x}): it is not valid Unicode')
    return text


def _told(row: Cells, names: Sequence[str], where: str, field: str) -> str:
    """Return the column with a field: that of its own name, or the only one of a name that stands for it."""
    lower = {str(key).lower(): key for key in row}
    if names[0] in lower:
        return str(lower[names[0]])
    found = [lower[name] for name in names if name in lower]
    if len(found) == 1:
        return str(found[0])
    fault = f"may be {' or '.join(found)}" if found else "is missing"
    first = next((str(key)[:40] for key in row if str(key).lower() not in ID), "KEY")
    raise UserError(
        f'{where}: field "{field}" {fault}: {keys(row)}; name it, such as --map {field}={_printable(first)}'
    )


def _printable(text: str) -> str:
    """Return text on one line, lone surrogates escaped."""
    return " ".join(text.encode("utf-8", "backslashreplace").decode().split())


def _optional(row: Cells, names: Sequence[str], where: str) -> str | None:
    name = next((key for key in row if str(key).lower() in names and row[key] is not None), None)
    return None if name is None else checked(_text(row, name, where), str(name), where)


def _id(row: Cells, fields: FieldMap, where: str) -> str | None:
    if fields.id is not None:
        try:
            return _id_text(place(row, fields.id, where), fields.id, where)
        except UserError:  # the map may name the other side's id
            if not any(str(key).lower() in ID for key in row):
                raise
    # the `id` of a line of a batch is the server's, and other logs may have one beside their own key
    known_ids = ("custom_id", "doc_id", *ID) if {"response", "resps", "filtered_resps"} & row.keys() else ID
    name = next((key for known in known_ids for key in row if str(key).lower() == known), None)
    return None if name is None else _id_text(row[name], str(name), where)


def _id_text(value: Any, name: str, where: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return checked(value, name, where)
    if isinstance(value, bool) or not isinstance(value, int):
        raise UserError(f'{where}: field "{name}" must be a string or an integer')
    return str(value)


def _context(row: Cells, fields: FieldMap, where: str) -> tuple[str, ...]:
    if fields.context is not None:
        name: Any = fields.context
        value = place(row, name, where)
    else:
        name = next((key for key in row if str(key).lower() in CONTEXT), None)
        value = None if name is None else row[name]
    if not value:
        return ()
    if isinstance(value, str) and not value.startswith(('["', "['")):
        return (value,)
    return tuple(_listed(value, name, where))


def _listed(value: Any, name: str, where: str, padded: bool = False) -> list[str]:
    """Return a text or a list of texts as a list; a cell of a table may hold the JSON of a list."""
    if isinstance(value, str) and value.startswith(('["', "['")) and value[3:].endswith(('"]', "']")):
        try:
            value = parse_json(value)
        except UserError as error:
            raise UserError(f'{where}: field "{name}" looks like a list, but is {error}') from error
    if value is None and padded:
        return [""]
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise UserError(f'{where}: field "{name}" must be a list of strings')
    return texts


def _text(row: Mapping[Any, Any], name: Any, where: str) -> str:
    if not isinstance(row.get(name), str):
        raise UserError(f'{where}: field "{name}" must be a string')
    return str(row[name])


def _exchanges(row: Cells, where: str) -> list[tuple[str, Cells, Cells, tuple[str, ...]]]:
    """Return (where, human act, model act, turns before it) of each exchange of a ParlAI world log; else none."""
    dialog = row.get("dialog")
    if not isinstance(dialog, list) or not all(_is_exchange(exchange) for exchange in dialog):
        return []
    found, turns = [], []
    for number, (human, model) in enumerate(dialog, 1):
        at = f"{where}, exchange {number}"
        turns.append(_text(human, "text", at))
        found.append((at, human, model, tuple(turns)))
        turns.append(_text(model, "text", at))
    return found


def _is_exchange(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(act, dict) and "text" in act for act in value)


def _labels(act: Cells, where: str) -> tuple[str, ...]:
    name = "eval_labels" if "eval_labels" in act else "labels"
    if name not in act:
        raise UserError(f'{where}: the first act of an exchange has neither "labels" nor "eval_labels"')
    return tuple(_listed(act[name], name, where))


def _shape(row: Cells, shapes: Sequence[Callable[[Cells, str], Any]], where: str) -> Any:
    return next((found for shape in shapes if (found := shape(row, where)) is not None), None)


def _harness(row: Cells, where: str) -> list[str] | None:
    """Return the replies of a sample log of lm-evaluation-harness."""
    if "doc_id" not in row or not ("resps" in row or "filtered_resps" in row):
        return None
    value = row.get("filtered_resps", row.get("resps"))
    while isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not value or not all(isinstance(text, str) for text in value):
        raise UserError(f'{where}: field "filtered_resps" holds no generated texts (is it a task of likelihoods?)')
    return value


def _batch(row: Cells, where: str) -> list[str] | None:
    """Return the replies of a line of OpenAI's batch output."""
    if "custom_id" not in row or "response" not in row:
        return None
    response = row["response"]
    if row.get("error") or not isinstance(response, dict) or response.get("status_code", 200) != 200:
        raise UserError(f"{where}: the request {str(row['custom_id'])[:60]!a} failed: it has no reply")
    choices = place(row, "response.body.choices", where)
    if not isinstance(choices, list) or not choices:
        raise UserError(f'{where}: field "response.body.choices" must be a list')
    replies = [place({"choice": choice}, "choice.message.content", where) for choice in choices]
    if not all(isinstance(reply, str) for reply in replies):
        raise UserError(f'{where}: field "response.body.choices.0.message.content" must be a string')
    return replies


_REPLIES = (_harness, _batch)
