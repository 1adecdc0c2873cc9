"""The paper's filters that need all rows: frequent words, blandness, and rows that stand there twice.

Rows are read from their files once for each question. Memory is bounded: tri-grams are counted in a table of hashes
first, and by themselves only where the table says that they may be frequent; digests of rows are compared in parts.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO
from zlib import crc32

from dialoeval.corpus.recipe import Recipe

_WEIGHT = re.compile(r"[01]\.0 ")
_FIRST = 1_000_000  # responses of which the frequent words are counted
_SIEVE = 1 << 24
_DIGEST = 16  # bytes
_BUCKET = 500_000  # rows of one part of the digests, about


def second_pass(files: Sequence[Path], recipe: Recipe, scratch: Path, out: IO[bytes]) -> Counter[str]:
    """Write the rows that stay; return how many were dropped, by reason.

    Args:
        files: of rows, in order.
        recipe: with the settings `top_words`, `bland`, `bland_share`, `duplicates`.
        scratch: folder for files of digests.
        out: gets the rows.
    """
    words = frequent_words(files, recipe.top_words)
    bland = frequent_trigrams(files, recipe.bland)
    again = set() if recipe.duplicates else _repeated(files, scratch)
    dropped: Counter[str] = Counter()
    for number, line in enumerate(_rows(files)):
        tokens = response(line)
        reason = None
        if recipe.top_words and words.isdisjoint(tokens):
            reason = "not_english"
        elif recipe.bland and _is_bland(tokens, bland, recipe.bland_share):
            reason = "bland"
        elif number in again:
            reason = "duplicate"
        if reason:
            dropped[reason] += 1
        else:
            out.write(line)
    return dropped


def _rows(files: Sequence[Path]) -> Iterator[bytes]:
    for path in files:
        with open(path, "rb") as stream:
            yield from stream


def response(line: bytes) -> list[str]:
    """Return the lower-case words of a row's response, without its weight."""
    text = line.decode("utf-8").rstrip("\n").rpartition("\t")[2]
    return _WEIGHT.sub("", text, count=1).lower().split() if _WEIGHT.match(text) else text.lower().split()


def frequent_words(files: Sequence[Path], number: int) -> frozenset[str]:
    """Return the most frequent words (of letters) of the first million responses; of equals, the first by alphabet."""
    if not number:
        return frozenset()
    counts: Counter[str] = Counter()
    for line in islice(_rows(files), _FIRST):
        counts.update(word for word in response(line) if word.replace("'", "").isalpha())
    return frozenset(sorted(counts, key=lambda word: (-counts[word], word))[:number])


def _trigrams(tokens: list[str]) -> list[str]:
    return [" ".join(tokens[i : i + 3]) for i in range(len(tokens) - 2)]


def frequent_trigrams(files: Sequence[Path], least: int) -> frozenset[str]:
    """Return the tri-grams that stand in the responses more than `least` times; none if `least` is 0."""
    if not least:
        return frozenset()
    import numpy as np

    sieve = np.zeros(_SIEVE, np.uint32)
    rows = _rows(files)
    while piece := list(islice(rows, 50_000)):
        hashes = [crc32(trigram.encode()) % _SIEVE for line in piece for trigram in _trigrams(response(line))]
        cells, times = np.unique(np.array(hashes, np.int64), return_counts=True)
        sieve[cells] += times.astype(np.uint32)
    often = sieve > least
    del sieve
    counts: Counter[str] = Counter()
    if often.any():
        for line in _rows(files):
            counts.update(one for one in _trigrams(response(line)) if often[crc32(one.encode()) % _SIEVE])
    return frozenset(trigram for trigram, times in counts.items() if times > least)


def _is_bland(tokens: list[str], bland: frozenset[str], share: float) -> bool:
    trigrams = _trigrams(tokens)
    return bool(trigrams) and sum(trigram in bland for trigram in trigrams) >= share * len(trigrams)


def _repeated(files: Sequence[Path], scratch: Path) -> set[int]:
    """Return the numbers of the rows whose source and target stand in an earlier row."""
    import numpy as np

    total = sum(1 for _ in _rows(files))
    parts = min(512, 1 + total // _BUCKET)
    paths = [scratch / f"digests-{part:03}" for part in range(parts)]
    streams = [open(path, "wb") for path in paths]  # noqa: SIM115 - closed below, all of them
    try:
        for number, line in enumerate(_rows(files)):
            digest = hashlib.blake2b(line.split(b"\t", 1)[1], digest_size=_DIGEST).digest()
            streams[int.from_bytes(digest[:4], "big") % parts].write(digest + number.to_bytes(8, "little"))
    finally:
        for stream in streams:
            stream.close()
    kind = np.dtype([("digest", f"V{_DIGEST}"), ("row", "<u8")])
    again: set[int] = set()
    for path in paths:
        seen: set[bytes] = set()
        for digest, row in np.fromfile(path, kind).tolist():
            if digest in seen:
                again.add(row)
            seen.add(digest)
        path.unlink()
    return again
