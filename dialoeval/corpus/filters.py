"""The published extractor's filters of rows. Their order decides only which reason is counted."""

from __future__ import annotations

import re
from typing import NamedTuple

from dialoeval.corpus.lists import Phrases
from dialoeval.corpus.normalise import CAPS, TAGS, URL

_LONGEST_WORD = 30  # characters
_MOST_TOKENS = 200  # source and target together
_BOTS = frozenset(("automoderator", "autotldr", "totesmessenger", "gifv-ify", "[bot]"))
_BOT = re.compile(r"(?:^|[a-z0-9_-])bot\d*$")
_NO_BOTS = ("robot", "abbot", "talbot", "cabot")  # names that end so


class Turn(NamedTuple):
    """A turn of a row.

    Attributes:
        text: normalised, with its weight if turns have one.
        marks: `URL`, `TAGS`, `CAPS`.
        tokens: number of tokens, the weight among them.
    """

    text: str
    marks: int
    tokens: int


def reason_to_drop(turns: list[Turn], phrases: Phrases | None) -> str | None:
    """Return why a row is dropped, or None.

    Args:
        turns: context and response.
        phrases: offensive phrases to look for in the response; None: do not look (turns then have weights).
    """
    target = turns[-1]
    if phrases is not None and phrases.found(target.text):
        return "offensive"
    if target.tokens <= 1:
        return "emptytarget"
    tokens = target.text.split()
    if max(map(len, tokens)) > _LONGEST_WORD:
        return "longword"
    length, marks = max(len(turns) - 2, 0), 0  # the marks between turns are tokens of the source
    for _, mark, number in turns:
        length += number
        marks |= mark
    if length > _MOST_TOKENS:
        return "toolong"
    if marks:
        return "url" if marks & URL else "tags" if marks & TAGS else "allcaps"
    return "repetitions" if _repeats(tokens) else None


assert URL | TAGS | CAPS == 7  # `reason_to_drop` knows all marks


def _repeats(tokens: list[str]) -> bool:
    """Return whether three equal tokens stand in a row; a weight counts as a token."""
    if len(set(tokens)) > len(tokens) - 2:  # no token stands there three times
        return False
    return any(one == two == three for one, two, three in zip(tokens, tokens[1:], tokens[2:], strict=False))


def is_bot(author: str) -> bool:
    """Return whether an author's name is that of a bot: a well-known one, or it ends in `bot`."""
    author = author.lower()
    return author in _BOTS or (_BOT.search(author) is not None and not author.endswith(_NO_BOTS))
