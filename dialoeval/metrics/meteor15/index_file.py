"""The file of METEOR's index: a line of JSON (`Header`), padding, and the arrays one after the other."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dialoeval.errors import UserError
from dialoeval.files import atomic_open
from dialoeval.metrics.meteor15.layout import Phrases, Synonyms, Vocabulary

FORMAT = 1  # raise it when the layout or the meaning of the file changes
_ALIGNMENT = 64
_HEADER_LIMIT = 1 << 16  # bytes
_HEADER_ROOM = 992  # bytes, for the digits of the offsets
Group = TypeVar("Group", Vocabulary, Synonyms, Phrases)


@dataclass(frozen=True)
class Tables:
    """METEOR's language data in the form of the index.

    Attributes:
        function_words: in the order of the jar's list.
        prefixes: abbreviation -> whether it only counts before a number.
    """

    vocabulary: Vocabulary
    synonyms: Synonyms
    phrases: Phrases
    function_words: list[str]
    prefixes: dict[str, bool]


@dataclass(frozen=True)
class Header:
    """The file's version, the checksum of its contents, and (dtype, shape, offset) of each array."""

    format: int
    fingerprint: str
    crc32: int
    function_words: list[str]
    prefixes: dict[str, bool]
    start: int
    bytes: int
    arrays: dict[str, tuple[str, list[int], int]]


def read(path: Path, fingerprint: str) -> Tables | None:
    """Memory-map the index, or return None if the file does not exist, is damaged or of another version."""
    header = _read_header(path, fingerprint)
    if header is None:
        return None
    try:
        content = np.memmap(path, np.uint8, "r")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error

    directory = header.arrays

    def views(group: type[Group]) -> Group:
        arrays = []
        for dtype, shape, begin in (directory[name] for name in group._fields):
            end = begin + int(np.prod(shape)) * np.dtype(dtype).itemsize
            arrays.append(np.asarray(content[begin:end]).view(dtype).reshape(shape))
        return group(*arrays)

    return Tables(views(Vocabulary), views(Synonyms), views(Phrases), header.function_words, header.prefixes)


def _read_header(path: Path, fingerprint: str) -> Header | None:
    """Return the header of an intact index of this version, or None.

    The checksum is verified once for each state of the file (size and modification time); a small file beside it
    records the verified state.
    """
    try:
        with open(path, "rb") as stream:
            header = Header(**json.loads(stream.readline(_HEADER_LIMIT)))
        status = path.stat()
        if (header.format, header.fingerprint, header.bytes) != (FORMAT, fingerprint, status.st_size):
            return None
        seal = f"{status.st_size} {status.st_mtime_ns} {header.crc32}"
        seal_path = path.with_suffix(".verified")
        if not seal_path.is_file() or seal_path.read_text() != seal:
            if _checksum(path, header.start) != header.crc32:
                return None
            try:
                with atomic_open(seal_path) as stream:
                    stream.write(seal)
            except UserError:
                pass  # a read-only cache: verified again next time
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return header


def _checksum(path: Path, start: int) -> int:
    checksum = 0
    with open(path, "rb") as stream:
        stream.seek(start)
        while block := stream.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
    return checksum


def write(path: Path, fingerprint: str, tables: Tables) -> None:
    """Write the index.

    Args:
        path: the file.
        fingerprint: of the language data that the tables come from, see `source.fingerprint`.
        tables: the contents.
    """
    blocks = [
        (name, np.ascontiguousarray(array))
        for arrays in (tables.vocabulary, tables.synonyms, tables.phrases)
        for name, array in zip(arrays._fields, arrays, strict=True)
    ]
    checksum = 0
    offsets = {}
    size = 0
    for name, block in blocks:
        offsets[name] = size
        checksum = zlib.crc32(_padding(block), zlib.crc32(block.data, checksum))
        size += block.nbytes + len(_padding(block))

    def header(start: int) -> str:
        arrays = {name: (block.dtype.str, list(block.shape), start + offsets[name]) for name, block in blocks}
        words, prefixes = tables.function_words, tables.prefixes
        return json.dumps(asdict(Header(FORMAT, fingerprint, checksum, words, prefixes, start, start + size, arrays)))

    start = len(header(0)) + _HEADER_ROOM
    start += -start % _ALIGNMENT
    with atomic_open(path, "wb") as stream:
        stream.write(header(start).encode("ascii").ljust(start - 1) + b"\n")
        for _, block in blocks:
            stream.write(block.data)
            stream.write(_padding(block))


def _padding(block: NDArray[Any]) -> bytes:
    return bytes(-block.nbytes % _ALIGNMENT)
