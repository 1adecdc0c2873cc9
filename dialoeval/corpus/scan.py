r"""From the lines of a dump to records of partitions: what of a month the later steps need.

A record is a line of text with tabs between its fields. All comments of a thread, and its submission, are in the
partition that the thread's number says, in the dump's order; threads that are linked (`links.py`) have their comments
in one partition. The published extractor keeps such lines too; where a field's own tab or line end would break its
line, or a lone surrogate stops it, the record is skipped and counted.

    comment:    thread \t id \t parent \t score \t words \t author \t body
    submission: thread \t slice \t may have comments (1 or 0) \t known (1 or 0) \t subreddit (empty: none) \t title
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dialoeval.corpus.dumps import BadLine, parse, parse_exactly
from dialoeval.corpus.links import by_file, files, number, numbers
from dialoeval.corpus.normalise import minimal

SLICE = 500_000  # submissions that the published extractor handles at a time; rows are in order within a slice
NO_SUBREDDIT = "\x00"  # the link holds no subreddit: what the published extractor stops at
# Reasons to skip a line that is no comment (no submission) at all
UNREADABLE = frozenset(("invalid_utf8", "not_json", "not_object", "missing_field"))
_FIELDS = ("id", "score", "num_comments", "domain", "permalink", "title")


def partition(thread: str, parts: int) -> int:
    """Return the partition of a thread (`t3_...`) that is not linked to another."""
    return number(thread[3:]) % parts


@dataclass
class Scanned:
    """What a block of comments gives.

    Attributes:
        records: partition -> its records, as UTF-8 lines.
        links: file -> pairs that tell which threads are linked; none where they are known, or there is one partition.
        counts: `read` lines; skipped lines by reason.
    """

    records: dict[int, bytes]
    links: dict[int, bytes]
    counts: Counter[str]


class Skip(Exception):
    """A record that is left out; its text is the reason."""


def scan_comments(
    block: bytes, parts: int, dep: frozenset[str] | None, linked: Mapping[int, int] | None = None
) -> Scanned:
    """Return the records of a block of lines of comments.

    Args:
        block: whole lines of a dump.
        parts: number of partitions.
        dep: keys of the comments to read; None: all.
        linked: thread -> the thread that it has to be with, by their numbers; None: not known yet.
    """
    lines = block.splitlines()
    counts = Counter(read=len(lines))
    names: list[str] = []
    parents: list[str] = []
    threads: list[str] = []
    records: list[bytes] = []
    for line in lines:
        try:
            name, parent, thread, record = _comment(line, dep)
            records.append(record.encode())
        except (BadLine, Skip) as error:
            counts[str(error)] += 1
            continue
        except UnicodeEncodeError:
            counts["surrogate"] += 1
            continue
        if parts > 1:
            names.append(name)
            parents.append(parent[3:] if parent.startswith("t1_") else name)
            threads.append(thread[3:])
    if parts == 1 or not records:
        return Scanned({0: b"\n".join(records) + b"\n"} if records else {}, {}, counts)
    places = numbers(threads)
    pairs = {} if linked is not None else by_file(numbers(names + parents), places, files(parts))
    joined: defaultdict[int, list[bytes]] = defaultdict(list)
    for place, one in zip(places.tolist(), records, strict=True):
        joined[(linked.get(place, place) if linked else place) % parts].append(one)
    return Scanned({part: b"\n".join(texts) + b"\n" for part, texts in joined.items()}, pairs, counts)


def _comment(line: bytes, dep: frozenset[str] | None) -> tuple[str, str, str, str]:
    """Return a comment's id, parent, thread and record.

    Raises:
        BadLine: the line holds no JSON object.
        Skip: the comment is left out.
    """
    comment = parse(line)
    try:
        body, thread = comment["body"], comment["link_id"]
        if dep is not None and f"{thread}\tt1_{_text(comment['id'])}\tdep" not in dep:
            raise Skip("not_in_keys")
        if body == "[deleted]":
            raise Skip("deleted")
        if ">" in body or "&gt;" in body:
            raise Skip("quote")
        body = minimal(_text(body))
        words = len(body.split())
        if words < 2:
            raise Skip("short")
        name, author, parent, score = comment["id"], comment["author"], comment["parent_id"], comment["score"]
    except KeyError:
        raise Skip("missing_field") from None
    except TypeError:
        raise Skip("bad_field") from None
    if not (type(score) is int and type(name) is type(parent) is type(author) is type(thread) is str):
        name, author, parent, score = _odd(line, name, author, parent, score)
        _text(thread, Skip("bad_field"))
    if name[:1].isspace():  # the published script strips its lines, which begin with the id
        name = name.lstrip()
    head = f"{thread}\t{name}\t{parent}\t{score}\t{words}\t{author}\t"
    if not name or head.count("\t") != 6 or "\n" in head or "\r" in head:
        raise Skip("bad_field")
    return name, parent, thread, head + body


def _text(value: Any, error: Exception | None = None) -> str:
    """Return a value that must be a text.

    Raises:
        Exception: it is none: the given error, or a TypeError.
    """
    if type(value) is not str:
        raise error or TypeError
    return value


def _odd(line: bytes, *values: Any) -> list[str]:
    """Return fields that are not all texts (and the score a number) as the texts that Python makes of them."""
    if any(isinstance(value, float) for value in values):  # perhaps an integer of more than 64 bits
        exact = parse_exactly(line)
        values = tuple(exact[name] for name in ("id", "author", "parent_id", "score"))
    return [str(value) for value in values]


def scan_submissions(lines: Iterable[bytes], parts: int, counts: Counter[str]) -> Iterable[tuple[int, bytes]]:
    """Yield (partition, record line) for each submission that is kept.

    Args:
        lines: of a dump of submissions.
        parts: number of partitions.
        counts: gets `read`, `kept`, and skipped lines by reason.
    """
    named = 0
    for line in lines:
        counts["read"] += 1
        try:
            thread, may_have_comments, record = _submission(line)
            record = f"{thread}\t{named // SLICE}\t{may_have_comments:d}\t{record}\n"
            encoded = record.encode()
            counts["kept"] += 1
            yield partition(thread, parts), encoded
            named += may_have_comments
        except (BadLine, Skip) as error:
            counts[str(error)] += 1
        except UnicodeEncodeError:
            counts["surrogate"] += 1


def _submission(line: bytes) -> tuple[str, bool, str]:
    """Return a submission's thread, whether comments can be on it, and the rest of its record.

    A submission whose id is a number never has comments in the published extractor; one whose title is blank has them,
    but is not known when rows are made.

    Raises:
        BadLine: the line holds no JSON object.
        Skip: the submission is left out.
    """
    submission = parse(line)
    try:
        number = submission["num_comments"]
        if (number if type(number) is int else int(number)) < 2:
            raise Skip("few_comments")
        title = minimal(_text(submission["title"]))
        if any(isinstance(submission[name], float) for name in _FIELDS):
            submission = parse_exactly(line)
        values = [str(submission[name]) for name in _FIELDS[:-1]]
    except KeyError:
        raise Skip("missing_field") from None
    except (TypeError, ValueError, OverflowError):
        raise Skip("bad_field") from None
    if not values[0] or values[0][0].isspace() or any(mark in value for value in values for mark in "\t\n\r"):
        raise Skip("bad_field")
    places = values[4].split("/")
    subreddit = places[2].lower() if len(places) > 2 else NO_SUBREDDIT
    known = bool(title.strip())
    return f"t3_{values[0]}", type(submission["id"]) is str, f"{known:d}\t{subreddit}\t{title}"
