"""Saved chats: JSON lines, a conversation a line, which `dataset=conversations` reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dialoeval.chat.session import Session
from dialoeval.errors import UserError
from dialoeval.files import read_jsonl, write_jsonl


def save(path: Path, session: Session) -> None:
    """Write a session into a file of chats, atomically; one of the same name is replaced, all others stay.

    Raises:
        UserError: the file cannot be written, or is no file of chats.
    """
    rows = [row for row in _rows(path) if row.get("id") != session.name]
    write_jsonl(path, [*rows, session.to_json()])


def load(path: Path) -> Session:
    """Read the last session of a file.

    Raises:
        UserError: there is no such file or session, or it is damaged.
    """
    if not path.is_file():
        raise UserError(f"no such file: {path}")
    rows = _rows(path)
    if not rows:
        raise UserError(f"{path} holds no chat")
    return Session.from_json(rows[-1], f"{path}, chat {rows[-1].get('id')!r}")


def _rows(path: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_jsonl(path)] if path.exists() else []
