"""Reading and writing of files: atomic writes, strict JSON, errors that name file and line."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from dialoeval.errors import UserError

_LEAST_FREE = 20_000_000  # bytes: the files of a run of some thousand replies


@contextlib.contextmanager
def atomic_open(path: str | os.PathLike[str], mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path` for writing; on success fsync it and rename it to `path`.

    Readers see the old file or the complete new one, never a part. After an error the old file remains.

    Raises:
        UserError: the folder cannot be created or written to, or the disk is full.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        encoding, newline, errors = (None, None, None) if "b" in mode else ("utf-8", "\n", "surrogatepass")
        with os.fdopen(descriptor, mode, encoding=encoding, newline=newline, errors=errors) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Check, before long work, that a file can be written: its folder or the nearest one above it that exists.

    Raises:
        UserError: the path is a folder or device, a file is in the way of its folder, the folder cannot be written, or
            the disk is full but for a few MB.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # writing replaces what is there, a device or pipe too
            raise UserError(f"cannot write {path}: it is {'a folder' if path.is_dir() else 'no regular file'}")
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    if free < _LEAST_FREE:
        raise UserError(f"cannot write {path}: only {free / 1e6:.1f} MB are free on the disk of {folder}")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` atomically as UTF-8."""
    with atomic_open(path) as stream:
        stream.write(text)


def dumps(value: Any, *, indent: int | None = None) -> str:
    """Return strict JSON text.

    Non-ASCII text is written as it is, except for lone surrogates, which UTF-8 cannot encode and which are escaped.

    Raises:
        ValueError: a number is NaN or infinite, which most JSON readers refuse.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, ensure_ascii=True, allow_nan=False, indent=indent)
    return text


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` atomically as indented strict JSON."""
    write_text(path, dumps(value, indent=2) + "\n")


def write_jsonl(path: str | os.PathLike[str], rows: Iterable[Any]) -> None:
    """Write one strict JSON value per line, atomically."""
    with atomic_open(path) as stream:
        for row in rows:
            stream.write(dumps(row) + "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file.

    Raises:
        UserError: the file does not exist, is unreadable or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: {error}") from error
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}: not JSON: {error.msg}") from error
    except (RecursionError, ValueError) as error:  # nested too deep; an integer of thousands of digits
        raise UserError(f"{path}: unreadable JSON: {error}") from error


def read_lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end). Only LF and CRLF end a line, not other Unicode breaks.

    Raises:
        UserError: the file does not exist or cannot be read, or a line is not UTF-8.
    """
    try:
        stream = open(path, "rb")  # noqa: SIM115 - closed by the with below; opened here so that only its OSError is caught
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    with stream:
        for number, raw in enumerate(stream, 1):
            if number == 1:
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            try:
                yield number, raw.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
            except UnicodeDecodeError as error:
                reason = f"{error.reason} at byte {error.start}"
                raise UserError(f"{path}, line {number}: not UTF-8 text: {reason}") from error


def read_jsonl(path: str | os.PathLike[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) of a JSON-lines file; blank lines are skipped.

    Raises:
        UserError: a line is not a JSON object; the message names file and line.
    """
    for number, line in read_lines(path):
        if line.strip():
            yield number, json_object(line, f"{path}, line {number}")


def json_object(text: str | bytes, where: str) -> dict[str, Any]:
    """Parse a JSON object.

    Args:
        text: the JSON text, or its UTF-8 bytes.
        where: file and line for the message.

    Raises:
        UserError: the text is not JSON, or not an object.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:  # not JSON; an integer of thousands of digits; nested too deep
        raise UserError(f"{where}: not JSON: {getattr(error, 'msg', error)}") from error
    if not isinstance(value, dict):
        raise UserError(f"{where}: expected a JSON object, found {type(value).__name__}")
    return value


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """Return the SHA-256 of `value`'s canonical JSON (sorted keys, no spaces), in hex."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()
