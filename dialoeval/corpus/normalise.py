"""Normalisation of Reddit text as the published extractor does it: N1 when a dump is read, N2 for each turn."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from dialoeval.corpus.tweet_tokens import has_telephone, simple, tokenize

URL, TAGS, CAPS = 1, 2, 4  # marks of a turn: an address, a bracket, five capitals in a row
_ILLEGAL = re.compile("[^A-Za-z0-9()\\[\\]:,.!?'“” ]")
_BRACKET = re.compile(r"[\[\]()]")
_CAPITALS = re.compile("[A-Z]{5}")
# What makes a simple word need all steps; in any case of letters for http
_SPECIAL = re.compile("[Hh][Tt][Tt][Pp]|MENTION|URL|[A-Z]{5}|[0-9]{4}")
_FOUR_DIGITS = re.compile("[0-9]{4}")
_MOST_WORDS = 200_000  # words remembered; then the memory is emptied
_LONGEST = 40  # characters of a word worth remembering


def minimal(text: str) -> str:
    r"""Return a text without backslashes, with spaces for ``\n``, ``\r`` and ``\t`` (N1)."""
    return text.replace("\\", "").replace("\n", " ").replace("\r", " ").replace("\t", " ")


def prepare(text: str) -> str:
    """Return a text as it is before it is tokenized.

    Words with `#` in front are dropped; a word with `http` in it is cut there and followed by `__url__`; four
    abbreviations are written out; other characters than the tokenizer's become spaces. A literal `URL` or `MENTION`
    becomes a mark as well: the published script protects its marks under these names.
    """
    words = []
    for word in text.split():
        if word[0] == "#":
            continue
        start = word.lower().find("http")
        words.append(word if start < 0 else f"{word[:start]} __url__".strip())
    text = " ".join(words).replace("\\", "")
    for short, full in (("b/c", "because"), ("j/k", "just kidding"), ("w/o", "without"), ("w/", "with")):
        text = text.replace(short, full)
    text = text.replace("__mention__", "MENTION").replace("__url__", "URL")
    return _ILLEGAL.sub(" ", text).replace("MENTION", "__mention__").replace("URL", "__url__")


def marks(text: str) -> int:
    """Return the marks of a normalised text."""
    found = URL if "__url__" in text else 0
    if _BRACKET.search(text):
        found |= TAGS
    return found | CAPS if _CAPITALS.search(text) else found


@dataclass
class Normaliser:
    """N2 for many turns; remembers words.

    Attributes:
        plain: word -> its tokens, joined by spaces, for words without marks, without four digits, and with a token.
        other: word -> (its tokens, marks, whether it has four digits in a row), for all others.
    """

    plain: dict[str, str] = field(default_factory=dict)
    other: dict[str, tuple[str, int, bool]] = field(default_factory=dict)

    def turn(self, text: str) -> tuple[str, int]:
        """Return a normalised text and its marks."""
        words, plain = text.split(), self.plain
        try:
            return " ".join(map(plain.__getitem__, words)), 0
        except KeyError:
            pass
        tokens, found, digits = [], 0, False
        for word in words:
            known = plain.get(word)
            if known is None:
                known, mark, number = self.other.get(word) or self._word(word)
                found |= mark
                digits |= number
            if known:
                tokens.append(known)
        if digits and has_telephone(prepared := prepare(text)):
            whole = tokenize(prepared)
            return whole, marks(whole)
        return " ".join(tokens), found

    def _word(self, word: str) -> tuple[str, int, bool]:
        """Return a word's tokens, marks and whether it has four digits; remember them."""
        easy = None if _SPECIAL.search(word) else simple(word)
        prepared = easy or prepare(word)
        tokens = easy or tokenize(prepared)
        entry = tokens, 0 if easy else marks(tokens), _FOUR_DIGITS.search(prepared) is not None
        if len(self.plain) + len(self.other) >= _MOST_WORDS:
            self.plain.clear()
            self.other.clear()
        if len(word) <= _LONGEST:
            if tokens and entry[1:] == (0, False):
                self.plain[word] = tokens
            else:
                self.other[word] = entry
        return entry
