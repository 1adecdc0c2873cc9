"""The index of METEOR's language data: compiled once into the user's cache, then memory-mapped.

One file: a line of JSON (what it is, where each array lies, a checksum of the rest), padding, the arrays.

- `letters`, `offsets`, `slots`: the vocabulary (UTF-16) and its hash table. The paraphrase table's words come first.
- `sets`: WordNet synonym-set numbers; `own[w]` is the part that belongs to word w itself, `all_sets[w]` the part that
  also holds its base forms' sets, sorted.
- `keys`, `children`: the hash table of the phrase trie, (node << 16 | word) -> node; `first`, `stream`: node n's
  paraphrases are ``stream[first[n]:first[n + 1]]``, each its length and its words, in the table's order.
"""

from __future__ import annotations

import json
import sys
import zlib
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dialoeval import paths
from dialoeval.errors import UserError
from dialoeval.files import atomic_open
from dialoeval.metrics.meteor15 import native, source

FORMAT = 1  # raise when the layout or the meaning of anything below changes
_ALIGNMENT = 64
_TABLE_WORDS = 1 << 16  # numbers of the paraphrase table's words fit 16 bits
_ENTRIES = 5_300_000  # of the English table, for the progress bar


@dataclass(frozen=True)
class Index:
    """Memory-mapped tables, the compiled loops that read them, and the small lists Python needs."""

    letters: np.ndarray
    offsets: np.ndarray
    slots: np.ndarray
    own: np.ndarray
    all_sets: np.ndarray
    sets: np.ndarray
    keys: np.ndarray
    children: np.ndarray
    first: np.ndarray
    stream: np.ndarray
    function_words: frozenset[str]
    prefixes: dict[str, bool]
    kernels: native.Kernels


ARRAYS = ("letters", "offsets", "slots", "own", "all_sets", "sets", "keys", "children", "first", "stream")


def folder() -> Path:
    """The cache folder of this format of the index."""
    return paths.cache_dir() / f"meteor-{FORMAT}"


_open: dict[tuple[Path, str], Index] = {}


def load(*, progress: bool = False) -> Index:
    """The index, built first where the cache has no sound one of this version.

    The first call in the life of a cache takes the better part of a minute; with `progress` a bar shows it.

    Raises:
        UserError: pycocoevalcap is missing or damaged, or the cache cannot be written.
    """
    key = (folder(), source.fingerprint())
    if key not in _open:
        path = folder() / "english.index"
        header = _read_header(path, key[1])
        if header is None or not native.is_ready(folder()):
            header = _build_locked(path, key[1], progress)
        _open[key] = _map(path, header)
    return _open[key]


def _read_header(path: Path, fingerprint: str) -> dict[str, Any] | None:
    """The header of a sound index of this version; None where there is none.

    The whole file's checksum is verified once for each state of the file (size and time of change), and remembered in
    a small file beside it.
    """
    try:
        with open(path, "rb") as stream:
            header = json.loads(stream.readline(1 << 16))
        status = path.stat()
        if (header["format"], header["fingerprint"], header["bytes"]) != (FORMAT, fingerprint, status.st_size):
            return None
        seal = f"{status.st_size} {status.st_mtime_ns} {header['crc32']}"
        sealed = path.with_suffix(".verified")
        if not sealed.is_file() or sealed.read_text() != seal:
            if _checksum(path, header["start"]) != header["crc32"]:
                return None
            try:
                with atomic_open(sealed) as stream:
                    stream.write(seal)
            except UserError:
                pass  # a read-only cache: verified again next time
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return header


def _checksum(path: Path, start: int) -> int:
    value = 0
    with open(path, "rb") as stream:
        stream.seek(start)
        while block := stream.read(1 << 20):
            value = zlib.crc32(block, value)
    return value


def _map(path: Path, header: dict[str, Any]) -> Index:
    try:
        whole = np.memmap(path, np.uint8, "r")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    arrays = {}
    for name in ARRAYS:
        dtype, shape, begin = header["arrays"][name]
        end = begin + int(np.prod(shape)) * np.dtype(dtype).itemsize
        arrays[name] = np.asarray(whole[begin:end]).view(dtype).reshape(shape)
    words = frozenset(header["function_words"])
    return Index(**arrays, function_words=words, prefixes=header["prefixes"], kernels=native.load(path.parent))


def _build_locked(path: Path, fingerprint: str, progress: bool) -> dict[str, Any]:
    import filelock

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(path.with_suffix(".lock")):
            kernels = native.load(path.parent)
            header = _read_header(path, fingerprint)  # another process may have built it while this one waited
            if header is None:
                _write(path, fingerprint, *_compile(kernels, progress))
                header = _read_header(path, fingerprint)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(
            f"cannot build METEOR's index in {path.parent}: {reason}; DIALOEVAL_CACHE names another cache folder"
        ) from error
    if header is None:
        raise UserError(f"METEOR's index was written to {path} but reads back damaged: check the disk")
    return header


def _write(path: Path, fingerprint: str, arrays: dict[str, np.ndarray], lexicon: source.Lexicon) -> None:
    value = 0
    places = {}
    position = 0
    for name in ARRAYS:
        raw = np.ascontiguousarray(arrays[name])
        places[name] = [raw.dtype.str, list(raw.shape), position]
        padding = -raw.nbytes % _ALIGNMENT
        value = zlib.crc32(bytes(padding), zlib.crc32(raw.data, value))
        position += raw.nbytes + padding
    header = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "crc32": value,
        "function_words": lexicon.function_words,
        "prefixes": lexicon.prefixes,
    }
    size = len(json.dumps({**header, "arrays": places})) + 1024
    start = size + -size % _ALIGNMENT
    header |= {
        "start": start,
        "bytes": start + position,
        "arrays": {name: [dtype, shape, start + place] for name, (dtype, shape, place) in places.items()},
    }
    with atomic_open(path, "wb") as stream:
        stream.write(json.dumps(header).encode("ascii").ljust(start - 1) + b"\n")
        for name in ARRAYS:
            raw = np.ascontiguousarray(arrays[name])
            stream.write(raw.data)
            stream.write(bytes(-raw.nbytes % _ALIGNMENT))


def _compile(kernels: native.Kernels, progress: bool) -> tuple[dict[str, np.ndarray], source.Lexicon]:
    jar, paraphrases = source.files()
    lexicon = source.Lexicon(jar)
    vocabulary = _Numbers()
    arrays = _phrases(paraphrases, vocabulary, progress)
    if len(vocabulary) > _TABLE_WORDS:
        raise UserError(f"{paraphrases} has {len(vocabulary)} different words; at most {_TABLE_WORDS} can be indexed")
    for word in (*lexicon.synonym_sets, *lexicon.base_forms):
        vocabulary[word]
    arrays |= _vocabulary(list(vocabulary))
    arrays |= _synonyms(vocabulary, lexicon, arrays, kernels)
    return arrays, lexicon


class _Numbers(dict[str, int]):
    """Numbers things in the order they are first asked for."""

    def __missing__(self, key: str) -> int:
        self[key] = number = len(self)
        return number


def _phrases(path: Path, vocabulary: _Numbers, progress: bool) -> dict[str, np.ndarray]:
    """The trie of phrases and the stream of their paraphrases."""
    from tqdm import tqdm

    nodes: dict[int, int] = {}  # node << 16 | word -> node; node 0 is the empty phrase
    starts: dict[int, int] = {}  # node of a phrase -> its place in `stream`
    stream = array("H")
    numbers: dict[bytes, int] = _BytesNumbers(vocabulary)
    previous = None
    entries = source.paraphrases(path)
    entries = tqdm(
        entries, "indexing METEOR's paraphrases", _ENTRIES, disable=not progress, file=sys.stderr, mininterval=1
    )
    try:
        for phrase, paraphrase in entries:
            if phrase != previous:
                node = 0
                for word in phrase.split():
                    key = node << 16 | numbers[word]
                    node = nodes.setdefault(key, len(nodes) + 1)
                if node in starts or node == 0:
                    raise UserError(f"{path} has phrase {phrase!r} in two places or empty: not METEOR 1.5's table")
                starts[node] = len(stream)
                previous = phrase
            words = paraphrase.split()
            stream.append(len(words))
            stream.extend([numbers[word] for word in words])
    except OverflowError as error:
        raise UserError(f"{path} has more than {_TABLE_WORDS} different words: not METEOR 1.5's table") from error
    return _trie(nodes, starts, np.frombuffer(stream, np.uint16))


class _BytesNumbers(dict[bytes, int]):
    """`_Numbers` asked for by a word's UTF-8 bytes, decoded only once each."""

    def __init__(self, vocabulary: _Numbers) -> None:
        self._vocabulary = vocabulary

    def __missing__(self, key: bytes) -> int:
        self[key] = number = self._vocabulary[key.decode("utf-8")]
        return number


def _trie(nodes: dict[int, int], starts: dict[int, int], stream: np.ndarray) -> dict[str, np.ndarray]:
    """The trie as arrays, its nodes numbered anew so that the stretches of `stream` are in their order."""
    # Phrases take numbers 1, 2, ... in the stream's order, so one array says where each one's paraphrases begin and
    # end; nodes that are no phrase follow, with empty stretches.
    order = np.full(len(nodes) + 1, -1, np.int64)
    order[0] = 0
    phrases = np.fromiter(starts, np.int64, len(starts))
    order[phrases] = 1 + np.arange(len(phrases))
    rest = np.flatnonzero(order < 0)
    order[rest] = 1 + len(phrases) + np.arange(len(rest))
    first = np.full(len(nodes) + 2, len(stream), np.int64)
    first[0] = 0
    first[1 : 1 + len(starts)] = np.fromiter(starts.values(), np.int64, len(starts))

    keys = np.fromiter(nodes, np.int64, len(nodes))
    keys = order[keys >> 16] << 16 | keys & 0xFFFF
    children = order[np.fromiter(nodes.values(), np.int64, len(nodes))]
    size = 1 << (2 * len(nodes)).bit_length()
    hashes = keys.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(40)  # as find_child in matching.py
    places = _open_addresses(hashes.astype(np.int64) & size - 1, size)
    table_keys = np.full(size, -1, np.int64)
    table_children = np.full(size, -1, np.int32)
    table_keys[places] = keys
    table_children[places] = children
    return {"keys": table_keys, "children": table_children, "first": first, "stream": stream}


def _open_addresses(wanted: np.ndarray, size: int) -> np.ndarray:
    """Give each thing a place of its own in a table: the one it wants, or the next free one (linear probing)."""
    taken = np.zeros(size, bool)
    places = wanted.copy()
    waiting = np.arange(len(wanted))
    while len(waiting):
        here = places[waiting]
        _, lucky = np.unique(here, return_index=True)
        lucky = lucky[~taken[here[lucky]]]
        taken[here[lucky]] = True
        waiting = np.delete(waiting, lucky)
        places[waiting] = places[waiting] + 1 & size - 1
    return places


def _vocabulary(words: list[str]) -> dict[str, np.ndarray]:
    """The words' letters and their hash table."""
    encoded = [word.encode("utf-16-le") for word in words]
    letters = np.frombuffer(b"".join(encoded), np.uint16)
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded)) // 2
    offsets = np.zeros(len(words) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    hashes = np.zeros(len(words), np.uint32)
    for k in range(int(lengths.max())):  # h = 31 h + unit, for all words at once
        longer = np.flatnonzero(lengths > k)
        hashes[longer] = hashes[longer] * np.uint32(31) + letters[offsets[longer] + k]
    size = 1 << (2 * len(words)).bit_length()
    wanted = hashes * np.uint32(0x9E3779B1) >> np.uint32(8)  # as find_word in words.py
    slots = np.full(size, -1, np.int32)
    slots[_open_addresses(wanted.astype(np.int64) & size - 1, size)] = np.arange(len(words))
    return {"letters": letters, "offsets": offsets, "slots": slots}


def _synonyms(
    vocabulary: _Numbers, lexicon: source.Lexicon, arrays: dict[str, np.ndarray], kernels: native.Kernels
) -> dict[str, np.ndarray]:
    """Each word's own synonym sets, and these with its base forms' (from the list of irregular forms, else by rule)."""
    sets = array("i")
    own = np.zeros((len(vocabulary), 2), np.int32)
    for word, numbers in lexicon.synonym_sets.items():
        own[vocabulary[word]] = len(sets), len(sets) + len(numbers)
        sets.extend(numbers)
    bases = np.zeros(len(vocabulary), np.int32)
    scratch = np.zeros((2, int(np.diff(arrays["offsets"]).max()) + 16), np.uint16)
    letters, offsets = arrays["letters"], arrays["offsets"]
    kernels.call("find_word_bases", letters, offsets, arrays["slots"], offsets, letters, own, scratch, bases)

    all_sets = own.copy()
    for word, number in vocabulary.items():
        forms = [vocabulary.get(base) for base in lexicon.base_forms[word]] if word in lexicon.base_forms else None
        united = set(sets[own[number, 0] : own[number, 1]])
        before = len(united)
        for base in [bases[number]] if forms is None else forms:
            if base is not None and base >= 0:
                united.update(sets[own[base, 0] : own[base, 1]])
        if len(united) > before:
            all_sets[number] = len(sets), len(sets) + len(united)
            sets.extend(sorted(united))
    return {"own": own, "all_sets": all_sets, "sets": np.frombuffer(sets, np.int32)}
