"""The journal of a run's answers: a file to which every answer of a server is appended as soon as it has come."""

from __future__ import annotations

import os
import threading
from dataclasses import asdict
from pathlib import Path
from typing import IO

from dialoeval.errors import UserError
from dialoeval.files import dumps, json_object
from dialoeval.generation.engines.openai.answers import Answer


class Journal:
    """Answers by the key of their request, for several threads at once. A half-written last line is cut off.

    Args:
        file: what earlier attempts of the same run have left; None: memory only, and nothing is kept.

    Raises:
        UserError: the file cannot be read, or a line that has its end is damaged.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.file = file
        self.answers: dict[str, Answer] = {}
        self.learned: set[str] = set()  # what is known of the server
        self._stream: IO[bytes] | None = None
        self._lock = threading.Lock()
        if file is not None and file.exists():
            self._read(file)

    def put(self, key: str, answer: Answer) -> None:
        """Keep an answer.

        Raises:
            UserError: the disk is full or read-only.
        """
        if self.file is not None:
            self.answers[key] = answer
            self._append({"key": key, **asdict(answer)})

    def learn(self, fact: str) -> bool:
        """Keep what an answer told of the server, and return whether that is new."""
        with self._lock:
            if fact in self.learned:
                return False
            self.learned.add(fact)
        self._append({"learned": fact})
        return True

    def close(self) -> None:
        """Close the file; answers that come later are not kept."""
        with self._lock:
            if self._stream is not None:
                self._stream.close()
            self.file = self._stream = None

    def _append(self, row: dict[str, object]) -> None:
        data = (dumps(row) + "\n").encode("utf-8")
        with self._lock:
            if self.file is None:
                return
            try:
                if self._stream is None:
                    self._stream = open(self.file, "ab", buffering=0)  # noqa: SIM115 (open until `close`)
                if self._stream.write(data) != len(data):
                    raise OSError(None, "No space left on device")
                os.fsync(self._stream.fileno())
            except OSError as error:
                raise UserError(f"cannot write {self.file}: {error.strerror or error}") from error

    def _read(self, file: Path) -> None:
        try:
            content = file.read_bytes()
            whole = content[: content.rfind(b"\n") + 1]
            if len(whole) != len(content):
                os.truncate(file, len(whole))
        except OSError as error:
            raise UserError(f"cannot read {file}: {error.strerror or error}") from error
        for number, line in enumerate(whole.split(b"\n")[:-1], 1):
            where = f"{file}, line {number}: damaged"
            try:
                row = json_object(line, where)
                if "learned" in row:
                    self.learned.add(str(row["learned"]))
                else:
                    self.answers[str(row["key"])] = Answer(int(row["status"]), str(row["text"]), row["stream"] is True)
            except (UserError, KeyError, TypeError, ValueError):
                raise UserError(f"{where}; delete this file to ask the server for these answers again") from None
