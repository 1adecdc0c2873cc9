"""Monthly Reddit dumps: finding them, reading their lines in bytes, parsing a line.

A dump has one JSON object a line: `RC_YYYY-MM` the comments of a month, `RS_YYYY-MM` its submissions; compressed (.zst,
.bz2, .xz, .gz) or plain. Lines are split before they are decoded, so that no character is cut at a block's border.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import orjson

from dialoeval.errors import UserError, first_line

COMMENTS, SUBMISSIONS = "RC", "RS"
SUFFIXES = (".zst", ".bz2", ".xz", ".gz", "")
_FOLDERS = (".", "comments", "submissions", "reddit/comments", "reddit/submissions")  # where the archives put them
_READ = 128 * 1024  # compressed bytes at a time; zstandard gives what they hold in one piece
BLOCK = 1 << 20  # bytes of lines at a time


def parse_months(text: str) -> list[str]:
    """Return the months of ``2011-01``, ``2011-01..2011-12`` or a list with commas, each once, in order of time.

    Raises:
        UserError: it is none of these, or names no month.
    """
    months: set[str] = set()
    for part in text.split(","):
        ends = part.strip().split("..")
        if len(ends) > 2 or not all(re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", end) for end in ends):
            raise UserError(f"months: {part.strip() or text!r} is neither YYYY-MM nor YYYY-MM..YYYY-MM")
        first, last = (int(end[:4]) * 12 + int(end[5:]) - 1 for end in (ends[0], ends[-1]))
        if first > last:
            raise UserError(f"months: {part.strip()} ends before it begins")
        months.update(f"{month // 12:04}-{month % 12 + 1:02}" for month in range(first, last + 1))
    return sorted(months)


def find_dump(folder: str | Path, kind: str, month: str) -> Path:
    """Return the file of one kind (`COMMENTS`, `SUBMISSIONS`) and month, in a folder or in its folder for that kind.

    Raises:
        UserError: there is none, or more than one.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"--dumps {folder}: no such folder")
    name = f"{kind}_{month}"
    found = [path for place in _FOLDERS for suffix in SUFFIXES if (path := folder / place / (name + suffix)).is_file()]
    if not found:
        what = "comments" if kind == COMMENTS else "submissions"
        raise UserError(f"no {name}{{.zst,.bz2,.xz,.gz}} in {folder}: the {what} of {month} are missing")
    if len(found) > 1:
        raise UserError(f"{found[0]} and {found[1]} are dumps of the same month: keep one of them")
    return found[0]


class _Tapped:
    """A binary file that shows each piece of what is read of it to a function (hash, progress)."""

    def __init__(self, file: IO[bytes], tap: Callable[[bytes], object] | None) -> None:
        self.file, self.tap = file, tap

    def read(self, size: int = -1) -> bytes:
        piece = self.file.read(size)
        if self.tap and piece:
            self.tap(piece)
        return piece

    def seekable(self) -> bool:
        return False


def blocks(path: str | Path, tap: Callable[[bytes], object] | None = None) -> Iterator[bytes]:
    """Yield the text of a dump in blocks of whole lines, about `BLOCK` bytes each; only the last may lack its line end.

    Args:
        path: the dump; its suffix names the compression.
        tap: called with each piece of the file's own (compressed) bytes, in order.

    Raises:
        UserError: the file cannot be read, is damaged, or ends in the middle of its compressed data.
    """
    path = Path(path)
    pieces: list[bytes] = []
    size = 0
    for piece in _pieces(path, tap):
        pieces.append(piece)
        size += len(piece)
        if size >= BLOCK and (cut := piece.rfind(b"\n") + 1):
            pieces[-1], rest = piece[:cut], piece[cut:]
            yield b"".join(pieces)
            pieces, size = [rest], len(rest)
    if size:
        yield b"".join(pieces)


def _pieces(path: Path, tap: Callable[[bytes], object] | None) -> Iterator[bytes]:
    """Yield the decompressed bytes of a file in pieces of any size."""
    import bz2
    import gzip
    import lzma
    import zlib

    try:
        with open(path, "rb") as file:
            raw: Any = _Tapped(file, tap)
            if path.suffix in SUFFIXES[:-1] and not path.stat().st_size:
                raise EOFError
            if path.suffix == ".zst":
                yield from _zstd(raw, path)
                return
            stream = raw
            if path.suffix == ".gz":
                stream = gzip.GzipFile(fileobj=raw)
            elif path.suffix == ".bz2":
                stream = bz2.BZ2File(raw)
            elif path.suffix == ".xz":
                stream = lzma.LZMAFile(raw)  # noqa: SIM115 - it ends with its file, which the with closes
            while piece := stream.read(_READ * 8):
                yield piece
    except EOFError as error:
        raise _truncated(path) from error
    except (OSError, lzma.LZMAError, zlib.error) as error:
        raise UserError(f"cannot read {path}: {first_line(error)}: download it again") from error


def _zstd(raw: IO[bytes], path: Path) -> Iterator[bytes]:
    """Yield the content of all frames of a .zst file. Monthly dumps need a window of 2 GB."""
    import zstandard

    decompressor = zstandard.ZstdDecompressor(max_window_size=2**31)
    frame, whole = decompressor.decompressobj(), False  # whole: at the end of a frame
    try:
        while data := raw.read(_READ):
            while data:
                if piece := frame.decompress(data):
                    yield piece
                data, whole = frame.unused_data, frame.eof
                if whole:
                    frame = decompressor.decompressobj()
                else:
                    data = b""
    except zstandard.ZstdError as error:
        raise UserError(f"{path} is damaged or no zstandard file ({first_line(error)}): download it again") from error
    if not whole:
        raise _truncated(path)


def _truncated(path: Path) -> UserError:
    return UserError(f"{path} ends in the middle of its compressed data: the download is not complete, fetch it again")


class BadLine(Exception):
    """A line that holds no JSON object; its text is the reason: `invalid_utf8`, `not_json` or `not_object`."""


def parse(line: bytes) -> dict[str, Any]:
    """Return the JSON object of a line, as Python's own parser reads it (NaN, lone surrogates, duplicate names).

    An integer beyond 64 bits may come as a float: see `parse_exactly`.

    Raises:
        BadLine: the line is not UTF-8, not JSON, or no object.
    """
    try:
        record = orjson.loads(line)
    except ValueError:
        return parse_exactly(line)
    if type(record) is not dict:
        raise BadLine("not_object")
    return record


def parse_exactly(line: bytes) -> dict[str, Any]:
    """Return the JSON object of a line by Python's own parser, slowly; integers of any size stay integers.

    Raises:
        BadLine: as `parse`.
    """
    try:
        record = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise BadLine("invalid_utf8") from None
    except (ValueError, RecursionError):
        raise BadLine("not_json") from None
    if type(record) is not dict:
        raise BadLine("not_object")
    return record


def records(
    path: str | Path, counts: Counter[str], tap: Callable[[bytes], object] | None = None
) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield (object, its line) for each line of a dump that holds one.

    Args:
        path: the dump.
        counts: gets `read`, the number of lines, and how many were skipped as `invalid_utf8`, `not_json`, `not_object`.
        tap: as in `blocks`.

    Raises:
        UserError: as `blocks`.
    """
    for block in blocks(path, tap):
        lines = block.splitlines()  # bytes: at LF, CR and CRLF, as text files are read
        counts["read"] += len(lines)
        for line in lines:
            try:
                record = parse(line)
            except BadLine as error:
                counts[str(error)] += 1
                continue
            yield record, line
