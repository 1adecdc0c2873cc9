"""Rows of one partition: paths through threads, from the response up to where the context ends."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from dialoeval.corpus.filters import Turn, is_bot, reason_to_drop
from dialoeval.corpus.lists import Lists
from dialoeval.corpus.normalise import Normaliser
from dialoeval.corpus.recipe import Recipe
from dialoeval.corpus.scan import NO_SUBREDDIT

Comment = list[str]  # the fields of its record
THREAD, NAME, PARENT, SCORE, WORDS, AUTHOR, BODY = range(7)


class Row(NamedTuple):
    """A row of the corpus. Rows are sorted by their first four fields, as text but for the slice."""

    slice: int
    thread: str
    parent: str
    comment: str
    source: str
    target: str


@dataclass
class Submissions:
    """The submissions of a partition.

    Attributes:
        slices: thread -> the slice its comments belong to.
        known: (slice, thread) -> (subreddit, title).
    """

    slices: dict[str, int] = field(default_factory=dict)
    known: dict[tuple[int, str], tuple[str, str]] = field(default_factory=dict)

    def add(self, lines: Iterable[str], first_slice: int = 0) -> None:
        """Add records of submissions; their slices are numbered from `first_slice`."""
        for line in lines:
            thread, number, may_have_comments, known, subreddit, title = line.split("\t")
            current = first_slice + int(number)
            if may_have_comments == "1":
                self.slices.setdefault(thread, current)
            if known == "1":
                self.known[current, thread] = subreddit, title


def read_comments(
    lines: Iterable[str], submissions: Submissions, counts: Counter[str]
) -> dict[int, dict[str, Comment]]:
    """Return {slice: {comment's name: comment}}; of equal names the last one stays, as in the published extractor.

    Args:
        lines: records of comments.
        submissions: of the same partition.
        counts: gets `kept` and `no_submission`.
    """
    slices: defaultdict[int, dict[str, Comment]] = defaultdict(dict)
    known, kept, lost = submissions.slices, 0, 0
    for line in lines:
        comment = line.split("\t", BODY)
        number = known.get(comment[THREAD])
        if number is None:
            lost += 1
            continue
        kept += 1
        slices[number]["t1_" + comment[NAME]] = comment
    counts.update(kept=kept, no_submission=lost)
    return slices


class Threads:
    """Makes the rows of partitions by a recipe."""

    def __init__(self, recipe: Recipe, lists: Lists) -> None:
        self.recipe, self.lists = recipe, lists
        self.weighted = recipe.weighted
        self.normaliser = Normaliser()
        self.turns: dict[str, Turn] = {}  # comment or thread -> its turn, within a slice

    def rows(
        self, slices: dict[int, dict[str, Comment]], submissions: Submissions, skipped: Counter[str]
    ) -> Iterator[Row]:
        """Yield the rows of a partition in their order; count the others by reason."""
        for number in sorted(slices):
            comments = slices[number]
            self.turns = {}
            order = sorted([(comment[THREAD], comment[PARENT], name) for name, comment in comments.items()])
            answered = {parent for _, parent, _ in order} if self.recipe.leaves_only else set()
            keep = self.lists.keep
            for thread, parent, name in order:
                if name in answered or (keep is not None and f"{thread}\t{name}\tkeep" not in keep):
                    continue
                known = submissions.known.get((number, thread))
                made = self._before_path(comments[name], known) or self._turns(name, comments, number, submissions)
                if isinstance(made, str):
                    skipped[made] += 1
                    continue
                source = " EOS ".join([turn.text for turn in made[:-1]])
                yield Row(number, thread, parent, name, source, made[-1].text)

    def _before_path(self, comment: Comment, known: tuple[str, str] | None) -> str | None:
        """Return why a response is dropped for its submission or score, or None."""
        subreddit = known[0] if known else ""
        if subreddit == NO_SUBREDDIT:
            return "bad_permalink"
        blocked = self.lists.subreddits
        if blocked is not None:
            if not subreddit:
                return "missing"
            if subreddit in blocked:
                return "bad_subreddit"
        try:
            score = 0 if comment[SCORE] == "None" else int(comment[SCORE])
        except ValueError:
            return "bad_score"
        return "low_score" if score < self.recipe.min_score else None

    def _turns(
        self, name: str, comments: dict[str, Comment], number: int, submissions: Submissions
    ) -> list[Turn] | str:
        """Return the turns of the row that ends with a comment, or why there is none."""
        recipe, path, title = self.recipe, [], None
        for _ in range(recipe.max_depth):
            comment = comments[name]
            if int(comment[WORDS]) > recipe.max_words:
                break
            path.append(name)
            name = comment[PARENT]
            if recipe.title and name.startswith("t3_"):
                title = submissions.known.get((number, comment[THREAD]))
                if title is None:
                    return "exception"  # the published extractor's name for it
                title = comment[THREAD], title[1]
                break
            if name not in comments:
                break
        if len(path) + (title is not None) < recipe.min_depth:
            return "min_depth"
        if not recipe.bots and any(is_bot(comments[one][AUTHOR]) for one in path):
            return "bot"
        turns = [self._turn(one, comments[one][BODY]) for one in reversed(path)]
        if title:
            turns.insert(0, self._turn(title[0], "title: " + title[1]))
        if recipe.clean:
            reason = reason_to_drop(turns, None if recipe.leaves_only else self.lists.phrases)
            if reason:
                return reason
        return turns

    def _weightless(self, text: str) -> bool:
        """Return whether a turn is no response to learn from."""
        discard = self.lists.discard
        return self.lists.phrases.found(text) or (
            bool(discard) and hashlib.sha224(text.encode()).hexdigest() in discard
        )

    def _turn(self, name: str, body: str) -> Turn:
        """Return the turn of a comment or title; each is normalised once."""
        turn = self.turns.get(name)
        if turn is None:
            text, marks = self.normaliser.turn(body)
            tokens = text.count(" ") + 1 if text else 0
            if self.weighted:
                text, tokens = f"{'0.0' if self._weightless(text) else '1.0'} {text}", tokens + 1
            turn = self.turns[name] = Turn(text, marks, tokens)
        return turn
