"""NLTK's TweetTokenizer on normalised Reddit text, word by word from a cache.

After the normalisation a text holds only ``A-Z a-z 0-9 _ ( ) [ ] : , . ! ? ' “ ”`` and spaces. Among the tokenizer's
patterns only two can cross white space there: runs of dots, whose text is the same whether or not they are one token
(tokens are joined by spaces), and telephone numbers, which need three digits before four. So the tokens of a text
without the latter are those of its words, one after the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

# What may be part of a telephone number that NLTK finds across words: three digits, then four.
_TELEPHONE = re.compile(r"[0-9]{3}[ .)]*[0-9]{4}")
# Letters with inner apostrophes, or up to six digits, and marks after them. NLTK splits off the marks, dots together.
_SIMPLE = re.compile(r"([A-Za-z]+(?:'[A-Za-z]+)*|[0-9]{1,6})(?:(\.{1,3})|([,!?]{0,3}))")


@cache
def _nltk() -> Callable[[str], list[str]]:
    from nltk.tokenize.casual import TweetTokenizer

    tokenize: Callable[[str], list[str]] = TweetTokenizer(preserve_case=True).tokenize
    return tokenize


def simple(word: str) -> str | None:
    """Return the tokens of a word, joined by spaces, if they are plain to see; else None."""
    match = _SIMPLE.fullmatch(word)
    if match is None:
        return None
    letters, dots, others = match.groups()
    if not (dots or others):
        return word
    return f"{letters} {dots or ' '.join(others)}"


def tokenize(text: str) -> str:
    """Return the tokens of a text, joined by single spaces.

    Args:
        text: of the characters named above.
    """
    if has_telephone(text):
        return " ".join(" ".join(_nltk()(text)).split())
    return " ".join([simple(word) or " ".join(_nltk()(word)) for word in text.split()])


def has_telephone(text: str) -> bool:
    """Return whether a telephone number may join words of a text: it must be tokenized whole."""
    return _TELEPHONE.search(text) is not None
