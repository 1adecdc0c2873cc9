"""One month: its dumps become partitions, its partitions rows, its rows one file in order. Each step resumes.

A month's folder holds `dumps.json`, which says what it is of, `scan.json` once all partitions are written,
`rows-NNN.json` once a partition's rows are, and `rows.json` once the month is done. A file counts only if its JSON file
is there, and that is written last.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import heapq
import math
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from dialoeval.corpus import links, lists
from dialoeval.corpus.dumps import COMMENTS, SUBMISSIONS, blocks
from dialoeval.corpus.recipe import Recipe
from dialoeval.corpus.scan import UNREADABLE, Scanned, scan_comments, scan_submissions
from dialoeval.corpus.threads import Submissions, Threads, read_comments
from dialoeval.corpus.workers import Workers
from dialoeval.errors import UserError
from dialoeval.files import atomic_open, read_json, write_json
from dialoeval.progress import progress

_MEGABYTE = 1_000_000
LINKS = "links"  # files of pairs that tell which threads are linked
_SLICES = 1_000_000  # more than a month has: numbers the slices of several months


@dataclass(frozen=True)
class Month:
    """What the steps of one month need.

    Attributes:
        name: YYYY-MM.
        folder: for its files.
        comments: dump of comments.
        submissions: dump of submissions.
        earlier: folders of earlier months whose submissions count as well.
        recipe: how rows are made.
        parts: number of partitions.
    """

    name: str
    folder: Path
    comments: Path
    submissions: Path
    earlier: tuple[Path, ...]
    recipe: Recipe
    parts: int

    @property
    def rows(self) -> Path:
        """The rows of the month, once it is done."""
        return self.folder / "rows.tsv"

    def result(self) -> dict[str, Any] | None:
        """Return the counts of the month, or None if it is not done."""
        done = self.folder / "rows.json"
        return read_json(done) if done.exists() else None

    def build(self, workers: Workers) -> None:
        """Do what is not done yet."""
        dumps = [self._dumps(), *(read_json(folder / "dumps.json") for folder in self.earlier)]
        noted = self.folder / "dumps.json"
        if self.folder.exists() and not (noted.exists() and read_json(noted) == dumps):
            shutil.rmtree(self.folder)  # of another download of the dumps
        if self.result() is not None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(noted, dumps)
        if not (self.folder / "scan.json").exists():
            write_json(self.folder / "scan.json", self._scan(workers))
        missing = [part for part in range(self.parts) if not _file(self.folder, "rows", part, ".json").exists()]
        with progress(f"partitions of {self.name}", self.parts, self.parts - len(missing)) as step:
            for _ in workers.map(_make_rows, [(self, part) for part in missing]):
                step()
        self._merge()
        for path in [*self.folder.glob("comments-*"), *self.folder.glob("rows-*")]:
            path.unlink()

    def _dumps(self) -> list[list[Any]]:
        """Return what tells other files from these: name, size, time of the last change."""
        return [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in (self.submissions, self.comments)]

    def _scan(self, workers: Workers) -> dict[str, Any]:
        """Write the partitions; return what was read and skipped, and what identifies the dumps."""
        counts: Counter[str] = Counter()
        hashes: dict[str, str] = {}
        megabytes = math.ceil((self.comments.stat().st_size + self.submissions.stat().st_size) / _MEGABYTE)
        with progress(f"MB of {self.name}", megabytes) as step:
            with self._files(SUBMISSIONS, self.parts) as write, _tap(self.submissions, hashes, step) as tap:
                lines = (line for block in blocks(self.submissions, tap) for line in block.splitlines())
                for part, record in scan_submissions(lines, self.parts, counts):
                    write[part](record)
            _check_is_dump(self.submissions, counts, "submission")
            with _tap(self.comments, hashes, step) as tap:
                scanned, together = self._scan_comments(workers, tap)
            _check_is_dump(self.comments, scanned, "comment")
        files = [
            {"file": path.name, "bytes": path.stat().st_size, "sha256": hashes[path.name]}
            for path in (self.submissions, self.comments)
        ]
        return {"files": files, "submissions": counts, "comments": scanned, "linked": list(together.items())}

    def _scan_comments(self, workers: Workers, tap: Callable[[bytes], None]) -> tuple[Counter[str], dict[int, int]]:
        """Write the partitions of comments; return what was read and skipped, and which threads are linked."""
        if self.parts == 1:
            return self._split_comments(workers, tap, {}), {}
        scanned = self._split_comments(workers, tap, None)
        files = [_file(self.folder, LINKS, part, ".tsv") for part in range(links.files(self.parts))]
        if together := links.linked(files):  # read once more, as no partition has the dump's order of two others
            again = math.ceil(self.comments.stat().st_size / _MEGABYTE)
            with (
                progress(f"MB of {self.name} again, for linked threads", again) as step,
                _tap(self.comments, {}, step) as tap,
            ):
                self._split_comments(workers, tap, together)
        for file in files:
            file.unlink()
        return scanned, together

    def _split_comments(
        self, workers: Workers, tap: Callable[[bytes], None], together: dict[int, int] | None
    ) -> Counter[str]:
        """Write each comment to its partition; where the linked threads are not known, also what tells them."""
        scanned = Counter[str]()
        tasks = ((self, block, together) for block in blocks(self.comments, tap))
        with (
            self._files(COMMENTS, self.parts) as write,
            self._files(LINKS, links.files(self.parts) if together is None else 0) as link,
        ):
            for found in workers.map(_scan_block, tasks):
                scanned += found.counts
                for part, records in found.records.items():
                    write[part](records)
                for file, pairs in found.links.items():
                    link[file](pairs)
        return scanned

    @contextlib.contextmanager
    def _files(self, kind: str, files: int) -> Iterator[list[Callable[[bytes], object]]]:
        """Open the files of a kind anew; yield a function for each that writes to it."""
        with contextlib.ExitStack() as stack:
            names = [_file(self.folder, kind, part, ".tsv") for part in range(files)]
            yield [stack.enter_context(open(name, "wb", buffering=1 << 16)).write for name in names]

    def _merge(self) -> None:
        """Write the rows of all partitions in order, and the counts of the month."""
        scan = read_json(self.folder / "scan.json")
        skipped, comments = Counter[str](), Counter[str](scan["comments"])
        number = 0
        for part in range(self.parts):
            counts = read_json(_file(self.folder, "rows", part, ".json"))
            skipped += Counter(counts["skipped"])
            comments += Counter(counts["comments"])
        with contextlib.ExitStack() as stack, atomic_open(self.rows, "wb") as out:
            files = [
                stack.enter_context(open(_file(self.folder, "rows", part, ".tsv"), "rb")) for part in range(self.parts)
            ]
            split = (_fields(file) for file in files)
            for _, thread, parent, comment, texts in heapq.merge(*split, key=lambda row: row[:4]):
                out.write(b"%s,%s,%s\t%s" % (thread, parent, comment, texts))
                number += 1
        result = {**scan, "comments": comments, "skipped": skipped, "rows": number}
        write_json(self.folder / "rows.json", result)


def _fields(file: Any) -> Iterator[list[bytes]]:
    for line in file:
        yield line.split(b"\t", 4)


def _check_is_dump(path: Path, counts: Counter[str], what: str) -> None:
    """Refuse a file of which no line is what its name says; an empty one is a month of none.

    Raises:
        UserError: it is something else.
    """
    reasons = {reason: count for reason, count in counts.items() if reason in UNREADABLE}
    if counts["read"] and sum(reasons.values()) == counts["read"]:
        listed = ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.items()))
        raise UserError(f"{path} is no dump of {what}s: none of its lines is a {what} ({listed})")


def _file(folder: Path, kind: str, part: int, suffix: str) -> Path:
    kind = {COMMENTS: "comments", SUBMISSIONS: "submissions"}.get(kind, kind)
    return folder / f"{kind}-{part:03}{suffix}"


@contextlib.contextmanager
def _tap(path: Path, hashes: dict[str, str], step: Callable[[], None]) -> Iterator[Callable[[bytes], None]]:
    """Yield a function that takes a file's bytes for its hash and the progress; the hash is kept at the end."""
    digest, left = hashlib.sha256(), 0

    def tap(piece: bytes) -> None:
        nonlocal left
        digest.update(piece)
        left += len(piece)
        while left >= _MEGABYTE:
            left -= _MEGABYTE
            step()

    yield tap
    hashes[path.name] = digest.hexdigest()


@lru_cache(maxsize=1)
def _threads(recipe: Recipe, month: str) -> Threads:
    """Return what makes rows, with the words and lists that this process remembers."""
    return Threads(recipe, lists.load(recipe, month))


def forget_lists() -> None:
    """Have this process read the lists anew: their files may be others than in an earlier build."""
    _threads.cache_clear()


def _scan_block(task: tuple[Month, bytes, dict[int, int] | None]) -> Scanned:
    month, block, together = task
    return scan_comments(block, month.parts, _threads(month.recipe, month.name).lists.dep, together)


def _lines(path: Path) -> list[str]:
    return path.read_bytes().decode("utf-8").split("\n")[:-1]


@contextlib.contextmanager
def _no_collector() -> Iterator[None]:
    """Stop the collector of reference cycles: records have none, and it would go through all of them repeatedly."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _make_rows(task: tuple[Month, int]) -> None:
    """Write the rows of a partition, and then its counts."""
    month, part = task
    submissions = Submissions()
    moved = {thread for thread, other in read_json(month.folder / "scan.json")["linked"] if other % month.parts == part}
    for place, folder in enumerate((*month.earlier, month.folder)):
        for source in sorted({part, *(thread % month.parts for thread in moved)}):
            lines = _lines(_file(folder, SUBMISSIONS, source, ".tsv"))
            if source != part:
                lines = [line for line in lines if links.number(line.partition("\t")[0][3:]) in moved]
            submissions.add(lines, place * _SLICES)
    comments, skipped = Counter[str](), Counter[str]()
    with _no_collector(), atomic_open(_file(month.folder, "rows", part, ".tsv"), "wb") as out:
        slices = read_comments(_lines(_file(month.folder, COMMENTS, part, ".tsv")), submissions, comments)
        for row in _threads(month.recipe, month.name).rows(slices, submissions, skipped):
            out.write("\t".join((f"{row.slice:010}", *row[1:])).encode() + b"\n")
    write_json(_file(month.folder, "rows", part, ".json"), {"comments": comments, "skipped": skipped})
