"""Rows of JSON-lines files: references ``{"id", "references"}`` and hypotheses ``{"id", "reply"}``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from dialoeval.errors import UserError
from dialoeval.files import json_object, read_lines


@dataclass(frozen=True)
class TextRow:
    """A row of a text file.

    Attributes:
        where: file and line, as in messages.
        id: id of the example, or None if the row has none.
    """

    where: str
    id: str | None

    @property
    def key(self) -> str:
        """The id of a row that must have one.

        Raises:
            UserError: the row has no id.
        """
        if self.id is None:
            raise UserError(f'{self.where}: field "id" is missing: every line needs the id of its example')
        return self.id


@dataclass(frozen=True)
class ReferenceRow(TextRow):
    """The references of one example, in file order; an empty text is an empty reference slot.

    Attributes:
        references: the texts.
        human: the human reply that the file holds apart from the references, or None.
    """

    references: tuple[str, ...]
    human: str | None = None


@dataclass(frozen=True)
class HypothesisRow(TextRow):
    """A reply of one system.

    Attributes:
        reply: text of the reply.
        system: name of the system, or None if the row does not name one.
        context: the turns it replies to, oldest first; empty if the row has none.
    """

    reply: str
    system: str | None = None
    context: tuple[str, ...] = ()


def read_reference_rows(
    path: str | os.PathLike[str], *, strict: bool = False, bad_rows: list[UserError] | None = None
) -> Iterator[ReferenceRow]:
    """Yield the references of each line of a JSON-lines file; blank lines are skipped.

    Args:
        path: the file.
        strict: require a string id and a list of references, as dialoeval and the DSTC-7 release write them. Otherwise
            the id may be an integer or missing, and a single reference may be a string.
        bad_rows: if given, collects the error of each malformed row, and the row is skipped.

    Raises:
        UserError: the file cannot be read, or a row is malformed (naming file, line and field).
    """
    return _rows(path, lambda row, where: reference_row(row, where, strict=strict), bad_rows)


def read_hypothesis_rows(
    path: str | os.PathLike[str], *, bad_rows: list[UserError] | None = None
) -> Iterator[HypothesisRow]:
    """Yield the reply of each line of a JSON-lines file; blank lines are skipped.

    Args:
        path: the file.
        bad_rows: if given, collects the error of each malformed row, and the row is skipped.

    Raises:
        UserError: the file cannot be read, or a row is malformed (naming file, line and field).
    """
    return _rows(path, hypothesis_row, bad_rows)


def reference_row(row: dict[str, Any], where: str, *, strict: bool = False) -> ReferenceRow:
    """Return the references of one parsed row; see `read_reference_rows`.

    Raises:
        UserError: a field is missing or of the wrong type; the message names `where` and the field.
    """
    one_text = isinstance(row.get("references"), str) and not strict
    references = (text_field(row, "references", where),) if one_text else texts_field(row, "references", where)
    human = None if row.get("human") is None else text_field(row, "human", where)
    return ReferenceRow(where, _id(row, where, strict), references, human)


def hypothesis_row(row: dict[str, Any], where: str) -> HypothesisRow:
    """Return the reply of one parsed row; see `read_hypothesis_rows`.

    Raises:
        UserError: a field is missing or of the wrong type; the message names `where` and the field.
    """
    context: tuple[str, ...] = ()
    if isinstance(row.get("context"), str):
        context = (row["context"],)
    elif row.get("context"):
        context = texts_field(row, "context", where)
    system = None if row.get("system") is None else text_field(row, "system", where)
    return HypothesisRow(where, _id(row, where), text_field(row, "reply", where), system, context)


def text_field(row: dict[str, Any], field: str, where: str) -> str:
    """Return a field that must be a string.

    Raises:
        UserError: the field is missing or not a string; the message names `where` and the field.
    """
    value = row.get(field)
    if not isinstance(value, str):
        raise UserError(f'{where}: field "{field}" must be a string')
    return value


def texts_field(row: dict[str, Any], field: str, where: str) -> tuple[str, ...]:
    """Return a field that must be a list of strings.

    Raises:
        UserError: the field is missing or not a list of strings; the message names `where` and the field.
    """
    value = row.get(field)
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise UserError(f'{where}: field "{field}" must be a list of strings')
    return tuple(value)


_Parsed = TypeVar("_Parsed", bound=TextRow)


def _rows(
    path: str | os.PathLike[str],
    parse: Callable[[dict[str, Any], str], _Parsed],
    bad_rows: list[UserError] | None,
) -> Iterator[_Parsed]:
    for number, line in read_lines(path):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            row = parse(json_object(line, where), where)
        except UserError as error:
            if bad_rows is None:
                raise
            bad_rows.append(error)
            continue
        yield row


def _id(row: dict[str, Any], where: str, strict: bool = False) -> str | None:
    value = row.get("id")
    if strict or isinstance(value, str):
        return text_field(row, "id", where)
    if isinstance(value, bool) or not isinstance(value, int | None):
        raise UserError(f'{where}: field "id" must be a string or an integer')
    return None if value is None else str(value)
