"""Saved chats: JSON lines, a conversation a line, which `dataset=conversations` reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dialoeval.chat.session import Session
from dialoeval.errors import UserError
from dialoeval.files import check_writable, read_jsonl, write_jsonl


def check(path: Path) -> None:
    """Check, before anything is said, that a chat can be saved in a file.

    Raises:
        UserError: the file cannot be written, or is no file of chats.
    """
    check_writable(path)
    _rows(path)


def save(path: Path, session: Session) -> None:
    """Write a session into a file of chats, atomically; one of the same name is replaced, all others stay.

    Raises:
        UserError: the file cannot be written, or is no file of chats.
    """
    rows = [row for row in _rows(path) if row["id"] != session.name]
    write_jsonl(path, [*rows, session.to_json()])


def names(path: Path) -> set[str]:
    """Return the names of the chats in a file, none if there is no file."""
    return {row["id"] for row in _rows(path)}


def load(path: Path) -> Session:
    """Read the last session of a file.

    Raises:
        UserError: there is no such file or session, or it is damaged.
    """
    if not path.is_file():
        raise UserError(f"{path} is {'a folder' if path.is_dir() else 'no file'}: give a file of saved chats")
    rows = _rows(path)
    if not rows:
        raise UserError(f"{path} holds no chat")
    return Session.from_json(rows[-1], f"{path}, chat {rows[-1].get('id')!r}")


def _rows(path: Path) -> list[dict[str, Any]]:
    rows = []
    for number, row in read_jsonl(path) if path.exists() else ():
        if not isinstance(row.get("id"), str) or not isinstance(row.get("turns"), list):
            raise UserError(f"{path}, line {number} is not a saved chat: it has no id or no list of turns")
        rows.append(row)
    return rows
