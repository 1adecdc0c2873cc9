"""The sets of DSTC-7 Task 2, rebuilt from monthly Reddit dumps by the organisers' lists of hashes.

A conversation is a comment with what precedes it: ``START``, the title, and up to five comments. Its key is a SHA-224
of all that makes it, its score too, so that a conversation whose key is listed is exactly the organisers'. The lists
also imply that the linked page was found, and what else the published script asks of a submission.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from dialoeval.corpus.dstc7_lists import Lists
from dialoeval.corpus.dumps import COMMENTS, SUBMISSIONS, BadLine, blocks, find_dump, parse
from dialoeval.corpus.tweet2018 import tokenize
from dialoeval.data.sources.dstc7 import START, TURN_END

DELETED = "[deleted]"
_DEPTH = 5  # comments before the last one
_CONTEXT_WORDS = 200
_REPLY_CHARACTERS = range(2, 281)
_SPACES = re.compile("[ \n\r\t]+")
Tap = Callable[[Path], Callable[[bytes], object]]
_LINK = re.compile(rb'"link_id":\s?"t3_([0-9a-z]+)"')


@dataclass(frozen=True)
class Conversation:
    """A conversation of the sets; its fields are those of the published file.

    Attributes:
        key: the SHA-224 of the others.
        subreddit: its name.
        submission: id without ``t3_``.
        score: of the reply, as the organisers have it.
        turn: number of turns before the reply, ``START`` and the title counted.
        context: turns with `TURN_END` between them.
        reply: the last comment.
    """

    key: str
    subreddit: str
    submission: str
    score: int
    turn: int
    context: str
    reply: str


@dataclass(frozen=True)
class _Comment:
    parent: str
    submission: str
    author: str
    score: int
    body: str


@dataclass(frozen=True)
class _Submission:
    subreddit: str
    title: str


@dataclass
class Month:
    """What a month of dumps gives: conversations by key, and counts."""

    found: dict[str, Conversation] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)


def read_month(dumps: str | Path, month: str, lists: Lists, score_search: int, tap: Tap | None = None) -> Month:
    """Return the listed conversations of a month: its comments on its own submissions.

    Args:
        dumps: folder of the dumps.
        month: ``YYYY-MM``.
        lists: of the organisers.
        score_search: also try scores that differ from the dump's by up to this, since dumps made later have others.
        tap: gives what takes the compressed bytes of a file.

    Raises:
        UserError: a dump is missing, ambiguous or damaged.
    """
    made = Month()
    submissions = _submissions(find_dump(dumps, SUBMISSIONS, month), lists, made.counts, tap)
    comments = _comments(find_dump(dumps, COMMENTS, month), submissions, made.counts, tap)
    exact: set[str] = set()  # keys of conversations with the dump's score
    by_submission: dict[str, list[str]] = {}
    for name, comment in comments.items():
        by_submission.setdefault(comment.submission, []).append(name)
    for submission, names in by_submission.items():
        for draft in _drafts(submissions, submission, names, comments):
            made.counts["conversations"] += 1
            for conversation in _listed(draft, lists, score_search):
                made.found[conversation.key] = conversation
                if conversation.score == draft.score:
                    exact.add(conversation.key)
    made.counts["found"] = len(made.found)
    made.counts["found_by_another_score"] = len(made.found) - len(exact)
    return made


def _lines(path: Path, counts: Counter[str], tap: Tap | None) -> Iterator[bytes]:
    for block in blocks(path, tap and tap(path)):
        lines = block.splitlines()
        counts[f"{path.name[:2]}_read"] += len(lines)
        yield from lines


def _submissions(path: Path, lists: Lists, counts: Counter[str], tap: Tap | None) -> dict[str, _Submission]:
    """Return {id: submission} of those that can be in the sets."""
    found = {}
    for line in _lines(path, counts, tap):
        try:
            record = parse(line)
            name, subreddit, title = str(record["id"]), record["subreddit"], record["title"]
        except (BadLine, KeyError):
            counts["RS_malformed"] += 1
            continue
        if not isinstance(subreddit, str) or not isinstance(title, str):
            counts["RS_malformed"] += 1
        elif lists.may_hold(subreddit, record.get("domain"), record.get("url")):
            found[name] = _Submission(subreddit, title)
    counts["RS_kept"] += len(found)
    return found


def _comments(
    path: Path, submissions: Mapping[str, _Submission], counts: Counter[str], tap: Tap | None
) -> dict[str, _Comment]:
    """Return {id with t1_: comment} of the comments on these submissions; of one id, the last."""
    names = {name.encode() for name in submissions}
    found = {}
    for line in _lines(path, counts, tap):
        link = _LINK.search(line)
        if link is not None and link[1] not in names:
            continue
        try:
            record = parse(line)
            submission = str(record["link_id"]).split("_")[1]
            if submission not in submissions:
                continue
            body, score = record["body"], record.get("score")
            if not isinstance(record["id"], str):  # the published script skips it: no parent of others either
                raise BadLine("id")
            comment = _Comment(
                str(record["parent_id"]),
                submission,
                str(record.get("author")),
                score if type(score) is int else 0,
                body,
            )
        except (BadLine, KeyError, IndexError):
            counts["RC_malformed"] += 1
            continue
        if isinstance(body, str):
            found[f"t1_{record['id']}"] = comment
        else:
            counts["RC_malformed"] += 1
    counts["RC_kept"] += len(found)
    return found


def _drafts(
    submissions: Mapping[str, _Submission], name: str, comments: list[str], all_comments: Mapping[str, _Comment]
) -> Iterator[Conversation]:
    """Yield the conversations of a submission that have the form of the sets, without keys, with the dump's scores."""
    submission = submissions[name]
    title = normalised(submission.title)
    if any(all_comments[last].parent not in all_comments for last in comments) and _is_reply(title):
        yield Conversation("", submission.subreddit, name, 1, 1, START, title)
    texts: dict[str, str] = {}  # a comment is normalised once, not in each conversation that it is part of
    for last in comments:
        path = _path(last, all_comments)
        for one in path:
            if one not in texts:
                texts[one] = normalised(all_comments[one].body)
        first = all_comments[path[0]].submission  # another one's where a comment answers one of another thread
        begun_by = title if first == name else normalised(submissions[first].title)
        turns = [START, begun_by, *(texts[one] for one in path)]
        comment = all_comments[last]
        if comment.author != DELETED and _is_reply(turns[-1]):
            context = _cut(TURN_END.join(turns[:-1]), turns[-2])
            if DELETED not in context:
                yield Conversation("", submission.subreddit, name, comment.score, len(turns) - 1, context, turns[-1])


def normalised(text: str) -> str:
    """Return a text as the published script has it: tweet tokens in lower case, on one line."""
    return " ".join(tokenize(_SPACES.sub(" ", text).strip())).replace("[ deleted ]", DELETED)


def _path(last: str, comments: Mapping[str, _Comment]) -> list[str]:
    """Return the comments that lead to one, it included; of a longer path the last ones."""
    path = [last]
    while len(path) <= _DEPTH and (parent := comments[path[-1]].parent) in comments:
        path.append(parent)
    return path[::-1]


def _is_reply(text: str) -> bool:
    return len(text) in _REPLY_CHARACTERS and text != DELETED and ">" not in text


def _cut(context: str, message: str) -> str:
    """Return a context whose first words are left out if it has more than 200, or than its last turn and one more."""
    words, most = re.split(r"\s+", context), max(_CONTEXT_WORDS, len(re.split(r"\s+", message)) + 1)
    return context if len(words) <= most else "... " + " ".join(words[-most:])


def _listed(draft: Conversation, lists: Lists, score_search: int) -> Iterator[Conversation]:
    """Yield the conversation with its key if a list has it, under the dump's score or one near to it."""
    for score in range(max(1, draft.score - score_search), draft.score + score_search + 1):
        one = replace(draft, score=score)
        key = hashlib.sha224("\t".join(fields_of(one)[1:]).encode("utf-8", "surrogatepass")).hexdigest()
        if key in lists.wanted:
            yield replace(one, key=key)


def fields_of(one: Conversation) -> tuple[str, ...]:
    """Return the seven fields of a line of the published file: key, subreddit, id, score, turn, context, reply."""
    return (one.key, one.subreddit, one.submission, str(one.score), str(one.turn), one.context, one.reply)
