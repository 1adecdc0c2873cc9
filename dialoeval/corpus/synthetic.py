"""Monthly dumps in Reddit's format, made of conversations: what the miniature of the paper is built from.

Reddit's text may not be redistributed. These dumps hold other people's conversations in the same records, so that every
step from the dump to the table runs on them as on the real ones.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dialoeval.corpus.dumps import records
from dialoeval.files import atomic_open, read_lines, write_text

FIRST_ID = 36**4  # the ids of real posts of early 2011 have five or six digits to the base 36
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
SUBREDDIT = "CasualConversation"
DEPTH = 3  # comments of a test thread
ANSWERS = 6  # to the last but one of them, besides the thread's own: the paper's contexts have six replies or more


@dataclass(frozen=True)
class Thread:
    """A submission and the comments below it.

    Attributes:
        title: of the submission.
        turns: comments, each an answer to the one before it; the first answers the submission.
        answers: further answers to the last but one turn, best first. They have lower scores than the last turn.
    """

    title: str
    turns: tuple[str, ...]
    answers: tuple[str, ...] = ()


def write_month(folder: Path, month: str, threads: Iterable[Thread], *, first: int = FIRST_ID) -> int:
    """Write ``RS_<month>.zst`` and ``RC_<month>.zst``.

    Args:
        folder: made if it is missing.
        month: ``2011-01``.
        threads: in the order of their posts.
        first: number of the first post; posts of other months must have other numbers.

    Returns:
        The number that the next month can begin with.
    """
    submissions: list[dict[str, Any]] = []
    comments: list[dict[str, Any]] = []
    number = first
    for thread in threads:
        name = base36(number)
        number += 1
        size = len(thread.turns) + len(thread.answers)
        submissions.append(
            {
                "id": name,
                "title": thread.title,
                "score": 10,
                "num_comments": size,
                "domain": f"self.{SUBREDDIT}",
                "permalink": f"/r/{SUBREDDIT}/comments/{name}/",
                "subreddit": SUBREDDIT,
            }
        )
        parent, parents = f"t3_{name}", [f"t3_{name}"]
        for depth, body in enumerate(thread.turns):
            comments.append(_comment(number, parent, name, body, score=size + 1 - depth))
            parent = f"t1_{base36(number)}"
            parents.append(parent)
            number += 1
        for rank, body in enumerate(thread.answers):
            comments.append(_comment(number, parents[-2], name, body, score=len(thread.answers) - rank))
            number += 1
    _write(folder / f"RS_{month}.zst", submissions)
    _write(folder / f"RC_{month}.zst", comments)
    return number


def threads_of(conversations: Sequence[Sequence[str]]) -> list[Thread]:
    """Make a thread of each conversation of three turns or more: the first turn is the title."""
    return [Thread(turns[0], tuple(turns[1:])) for turns in conversations if len(turns) >= 3]


def with_answers(conversations: Sequence[Sequence[str]], turns: int, answers: int) -> list[Thread]:
    """Cut conversations to the same length and add what other people said after a similar turn.

    Args:
        conversations: those of fewer than `turns` + 1 turns are left out.
        turns: comments of a thread.
        answers: further answers to its last but one turn. They come from the conversations whose turn at that
            place has the greatest share of words in common with it (Jaccard), equal ones in the order given.
    """
    long = [tuple(talk[: turns + 1]) for talk in conversations if len(talk) > turns]
    words = [frozenset(talk[-2].lower().split()) for talk in long]
    threads = []
    for i, talk in enumerate(long):
        others = [j for j in range(len(long)) if long[j][-1] != talk[-1]]
        others.sort(key=lambda j: -len(words[i] & words[j]) / max(1, len(words[i] | words[j])))
        found = dict.fromkeys(long[j][-1] for j in others[: 4 * answers])
        threads.append(Thread(talk[0], talk[1:], tuple(found)[:answers]))
    return threads


def base36(number: int) -> str:
    """Write a number as Reddit writes ids.

    >>> base36(36**4 + 35)
    '1000z'
    """
    digits = ""
    while number or not digits:
        number, digit = divmod(number, 36)
        digits = DIGITS[digit] + digits
    return digits


def _comment(number: int, parent: str, submission: str, body: str, *, score: int) -> dict[str, Any]:
    return {
        "id": base36(number),
        "author": f"u{number % 97}",
        "parent_id": parent,
        "link_id": f"t3_{submission}",
        "score": score,
        "body": body,
        "subreddit": SUBREDDIT,
    }


def _write(path: Path, records: list[dict[str, Any]]) -> None:
    import zstandard

    text = "".join(json.dumps(record) + "\n" for record in records)
    with atomic_open(path, "wb") as stream:
        stream.write(zstandard.ZstdCompressor().compress(text.encode()))


def write_dumps(folder: Path, months: tuple[str, str], talks: int, contexts: int) -> None:
    """Write a month of training threads and one of test threads, from the package chitchat-dataset.

    Args:
        folder: made if it is missing.
        months: of training and of test.
        talks: training threads, at most.
        contexts: test threads, at most; each ends with the answers of `ANSWERS` + 1 people to one comment.
    """
    from dialoeval.data.sources.chitchat import conversations

    training = [turns for _, turns in conversations("train")][:talks]
    first = write_month(folder, months[0], threads_of(training))
    test = with_answers([turns for _, turns in conversations("test")], DEPTH, ANSWERS)
    write_month(folder, months[1], test[:contexts], first=first)


def list_ids(dump: Path, rows: Path, out: Path) -> int:
    """Write the list of a multi-reference set: the rows that answer one comment, those of the highest score first.

    Args:
        dump: the comments, which have the scores.
        rows: of `dialoeval build sessions`.
        out: ``multiref<TAB>score,keys<TAB>score,keys...`` a line, for comments with `ANSWERS` rows or more.

    Returns:
        The number of lines.
    """
    scores = {f"t1_{record['id']}": int(record["score"]) for record, _ in records(dump, Counter())}
    answers: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for _, line in read_lines(rows):
        keys, source, _ = line.split("\t")
        parent, comment = keys.split(",")[1:]
        answers.setdefault((parent, source), []).append((scores[comment], keys))
    sets = [sorted(found, key=lambda one: -one[0]) for found in answers.values() if len(found) >= ANSWERS]
    write_text(out, "".join("\t".join(["multiref", *(f"{s},{keys}" for s, keys in one)]) + "\n" for one in sets))
    return len(sets)
