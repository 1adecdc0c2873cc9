"""The bytes of a user's file, whatever holds them: a file, a compressed file, a pipe or standard input."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import io
import lzma
import os
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, cast

from dialoeval.errors import UserError
from dialoeval.files import sha256_file

HEAD = 1 << 16  # bytes that formats are told by
STDIN = "-"
_BOM = b"\xef\xbb\xbf"
_OTHER_TEXT = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"PK\x03\x04": "a zip archive or spreadsheet"}
_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ\x00")
_SUFFIXES = (".gz", ".zst", ".bz2", ".xz")


@dataclass(frozen=True)
class Content:
    """The content of a file or pipe. What can be read only once is held in memory.

    Attributes:
        name: the path, or ``-``; as in messages.
        pipe: the bytes of a pipe or of standard input; None for a file.
    """

    name: str
    pipe: bytes | None = None

    @property
    def suffix(self) -> str:
        """The ending of the name in lower case, without that of a compression: ``.jsonl`` of ``a.JSONL.gz``."""
        path = Path(self.name.lower())
        return Path(path.stem).suffix if path.suffix in _SUFFIXES else path.suffix

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the bytes as they stand in the file, or as they came through the pipe."""
        return sha256_file(self.name) if self.pipe is None else hashlib.sha256(self.pipe).hexdigest()

    @cached_property
    def head(self) -> bytes:
        """The first `HEAD` bytes, decompressed, without a byte order mark.

        Raises:
            UserError: the content cannot be read, or is neither UTF-8 text nor Parquet.
        """
        with self._stream() as stream:
            head = stream.read(HEAD).removeprefix(_BOM)
        for magic, what in _OTHER_TEXT.items():
            if head.startswith(magic):
                raise UserError(f"{self.name} is {what}: save it as UTF-8 text")
        return head

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield (number from 1, line without its end and byte order mark). Only LF and CRLF end a line.

        Raises:
            UserError: the content cannot be read, or its compression is damaged.
        """
        with self._stream() as stream:
            for number, line in enumerate(stream, 1):
                if number == 1:
                    line = line.removeprefix(_BOM)
                yield number, line.removesuffix(b"\n").removesuffix(b"\r")

    def read(self) -> bytes:
        """Return all bytes, decompressed, without a byte order mark."""
        with self._stream() as stream:
            return stream.read().removeprefix(_BOM)

    def text_lines(self) -> Iterator[tuple[int, str]]:
        """Yield (number from 1, line) of UTF-8 text.

        Raises:
            UserError: as `lines`; or a line is not UTF-8, naming it.
        """
        for number, line in self.lines():
            yield number, decoded(line, f"{self.name}, line {number}")

    @contextlib.contextmanager
    def _stream(self) -> Iterator[IO[bytes]]:
        """Open the decompressed bytes.

        Raises:
            UserError: they cannot be read, or their compression is damaged.
        """
        try:
            with open(self.name, "rb") if self.pipe is None else io.BytesIO(self.pipe) as raw:
                magic = raw.read(6)
                raw.seek(0)
                yield _decompressed(raw, magic)
        except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
            raise UserError(f"{self.name}: the compressed data is damaged or cut off: {error}") from error
        except OSError as error:
            raise UserError(f"cannot read {self.name}: {error.strerror or error}") from error
        except Exception as error:
            if type(error).__name__ == "ZstdError":
                raise UserError(f"{self.name}: the compressed data is damaged or cut off: {error}") from error
            raise


def content(path: str | os.PathLike[str]) -> Content:
    """Return the content of a file, of a pipe, or of standard input (``-``).

    Raises:
        UserError: the path does not exist, is a folder or is empty, or the pipe cannot be read.
    """
    name = os.fspath(path)
    if name == STDIN:
        found = Content(name, sys.stdin.buffer.read())
    else:
        file = Path(name).expanduser()
        if not file.exists():
            raise UserError(f"there is no file {file}")
        if file.is_dir():
            raise UserError(f"{file} is a folder, not a file")
        try:
            found = Content(str(file)) if file.is_file() else Content(str(file), file.read_bytes())
        except OSError as error:
            raise UserError(f"cannot read {file}: {error.strerror or error}") from error
    if found.pipe == b"" or (found.pipe is None and os.path.getsize(found.name) == 0):
        raise UserError(f"{found.name} is empty")
    return found


def decoded(line: bytes, where: str = "") -> str:
    """Return UTF-8 bytes as text.

    Raises:
        UserError: they are not UTF-8; the message begins with `where`, if it is given.
    """
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{where}{': ' if where else ''}not UTF-8 text (byte 0x{line[error.start]:02x}); save the file as UTF-8"
        ) from error


def _decompressed(raw: IO[bytes], magic: bytes) -> IO[bytes]:
    if not magic.startswith(_COMPRESSED):
        return raw
    if magic.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
    if magic.startswith(b"BZh"):
        return cast(IO[bytes], bz2.BZ2File(raw))
    if magic.startswith(b"\xfd7zXZ"):
        return cast(IO[bytes], lzma.LZMAFile(raw))
    import zstandard

    # Reddit's dumps are compressed with windows of 2 GiB.
    reader = zstandard.ZstdDecompressor(max_window_size=2**31).stream_reader(raw, read_across_frames=True)
    return cast(IO[bytes], io.BufferedReader(reader))
