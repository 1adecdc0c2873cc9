"""Threads that belong together: a comment answers one of another thread, or stands in two threads.

Reddit has none, but a dump may, and the published extractor finds the parent wherever it is. Such threads have to be in
one partition. They are found by pairs of numbers, (a comment's, its thread's), for each comment and for its parent: two
threads of one comment are linked. The pairs are kept in files by the comment's number, each small enough to be sorted.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BITS = 64
_MOST = 128  # files: they are open together with up to 512 partitions, and many systems allow 1,024


def files(parts: int) -> int:
    """Return the number of files of pairs of a month with `parts` partitions."""
    return min(parts, _MOST)


def number(name: str) -> int:
    """Return a number for an id: its value in base 36, as Reddit counts; a hash where it is no such number.

    Numbers of 64 bits: where two ids share one, threads are together that need not be.
    """
    try:
        value = int(name, 36)
        return value if 0 <= value < 1 << _BITS else value & ((1 << _BITS) - 1)
    except ValueError:
        return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def numbers(names: list[str]) -> NDArray[np.uint64]:
    """Return the numbers of many ids."""
    import numpy as np

    try:
        return np.array([int(name, 36) for name in names], np.uint64)
    except (ValueError, OverflowError):
        return np.array([number(name) for name in names], np.uint64)


def by_file(comments: NDArray[np.uint64], threads: NDArray[np.uint64], number_of_files: int) -> dict[int, bytes]:
    """Return file -> the pairs that belong into it.

    Args:
        comments: the comments' numbers, then those of their parents (its own where it answers none).
        threads: the comments' threads.
        number_of_files: see `files`.
    """
    import numpy as np

    table = np.stack((comments, np.concatenate((threads, threads))), axis=1)
    places = comments % np.uint64(number_of_files)
    order = np.argsort(places, kind="stable")
    found, starts = np.unique(places[order], return_index=True)
    return {int(file): piece.tobytes() for file, piece in zip(found, np.split(table[order], starts[1:]), strict=True)}


def linked(paths: Iterable[Path]) -> dict[int, int]:
    """Return thread -> the thread that it has to be with, by their numbers; empty where no thread is linked."""
    import numpy as np

    root: dict[int, int] = {}

    def find(thread: int) -> int:
        while (above := root.setdefault(thread, thread)) != thread:
            root[thread] = root[above]
            thread = above
        return thread

    for path in paths:
        table = np.fromfile(path, np.uint64).reshape(-1, 2)
        table = table[np.lexsort((table[:, 1], table[:, 0]))]
        same = (table[1:, 0] == table[:-1, 0]) & (table[1:, 1] != table[:-1, 1])
        for one, other in zip(table[:-1, 1][same].tolist(), table[1:, 1][same].tolist(), strict=True):
            one, other = sorted((find(one), find(other)))
            root[other] = one
    return {thread: find(thread) for thread in sorted(root)}
