"""Rows of JSON-lines files from anywhere: references ``{"id", "references"}`` and hypotheses ``{"id", "reply"}``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from dialoeval.errors import UserError
from dialoeval.files import json_object, read_lines


@dataclass(frozen=True)
class TextRow:
    """A row of a file of texts.

    Attributes:
        where: file and line, as messages name it.
        id: the example; None if the row has none.
    """

    where: str
    id: str | None

    @property
    def key(self) -> str:
        """The id of a row that must have one.

        Raises:
            UserError: it has none.
        """
        if self.id is None:
            raise UserError(f'{self.where}: field "id" is missing: give every line the id of its example')
        return self.id


@dataclass(frozen=True)
class ReferenceRow(TextRow):
    """The references of one example, in file order; an empty one is a place without a reference."""

    references: tuple[str, ...]


@dataclass(frozen=True)
class HypothesisRow(TextRow):
    """A reply of some system.

    Attributes:
        reply: its text.
        system: the system's name; None if the file is of one system.
        context: the turns it replies to, oldest first; empty if the row does not say.
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
        strict: accept only what dialoeval and the DSTC-7 release write: ids are texts and never missing, references
            are lists. Otherwise an id may be a whole number or missing, and one reference may stand without a list.
        bad_rows: if given, the error of each malformed row is appended to it, and the row is skipped.

    Raises:
        UserError: the file cannot be read, or naming file, line and field of a malformed row.
    """
    return _rows(path, lambda row, where: reference_row(row, where, strict=strict), bad_rows)


def read_hypothesis_rows(
    path: str | os.PathLike[str], *, bad_rows: list[UserError] | None = None
) -> Iterator[HypothesisRow]:
    """Yield the reply of each line of a JSON-lines file; blank lines are skipped.

    Args:
        path: the file.
        bad_rows: if given, the error of each malformed row is appended to it, and the row is skipped.

    Raises:
        UserError: the file cannot be read, or naming file, line and field of a malformed row.
    """
    return _rows(path, hypothesis_row, bad_rows)


def reference_row(row: dict[str, Any], where: str, *, strict: bool = False) -> ReferenceRow:
    """Check one parsed row of references; see `read_reference_rows`.

    Raises:
        UserError: naming `where` and the field.
    """
    one_text = isinstance(row.get("references"), str) and not strict
    references = (text_field(row, "references", where),) if one_text else texts_field(row, "references", where)
    return ReferenceRow(where, _id(row, where, strict), references)


def hypothesis_row(row: dict[str, Any], where: str) -> HypothesisRow:
    """Check one parsed row of a reply; see `read_hypothesis_rows`.

    Raises:
        UserError: naming `where` and the field.
    """
    context: tuple[str, ...] = ()
    if isinstance(row.get("context"), str):
        context = (row["context"],)
    elif row.get("context"):
        context = texts_field(row, "context", where)
    system = None if row.get("system") is None else text_field(row, "system", where)
    return HypothesisRow(where, _id(row, where), text_field(row, "reply", where), system, context)


def text_field(row: dict[str, Any], field: str, where: str) -> str:
    """Return a field that must be a text.

    Raises:
        UserError: it is something else or missing, naming `where` and the field.
    """
    value = row.get(field)
    if not isinstance(value, str):
        raise UserError(f'{where}: field "{field}" must be a text')
    return value


def texts_field(row: dict[str, Any], field: str, where: str) -> tuple[str, ...]:
    """Return a field that must be a list of texts.

    Raises:
        UserError: it is something else or missing, naming `where` and the field.
    """
    value = row.get(field)
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise UserError(f'{where}: field "{field}" must be a list of texts')
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
        raise UserError(f'{where}: field "id" must be a text or a whole number')
    return None if value is None else str(value)
