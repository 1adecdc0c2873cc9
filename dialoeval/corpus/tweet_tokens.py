"""NLTK's TweetTokenizer on normalised Reddit text, whose words can be tokenized one by one.

After the normalisation a text holds only ``A-Z a-z 0-9 _ ( ) [ ] : , . ! ? ' “ ”`` and spaces, and no token begins with
``http``. Tags, handles, emoji, arrows, paths and HTML entities cannot occur, so that few of the tokenizer's patterns
remain. Only two of these can cross white space: runs of dots, whose text is the same whether or not they are one token
(tokens are joined by spaces), and telephone numbers, which need three digits before four. So the tokens of a text
without the latter are those of its words, one after the other. The tokens are those of NLTK 3.10, without its import
time and memory.
"""

from __future__ import annotations

import re

# What may be part of a telephone number across words: three digits, then four.
_TELEPHONE = re.compile(r"[0-9]{3}[ .)]*[0-9]{4}")
# Letters with inner apostrophes, or up to six digits, and marks after them: the marks are tokens, dots together.
_SIMPLE = re.compile(r"([A-Za-z]+(?:'[A-Za-z]+)*|[0-9]{1,6})(?:(\.{1,3})|([,!?]{0,3}))")
# Runs of four or more equal characters become three, but for letters and digits.
_RUN = re.compile(r"([^A-Za-z0-9])\1{3,}")
# The alternatives in NLTK's order: the first that matches at a position is the token.
_TOKEN = re.compile(
    "|".join(
        (
            r"[A-Za-z0-9]+(?:\.[A-Za-z0-9]+){0,126}\.[A-Za-z]{2,13}\b",  # domain
            r"(?:[01][ .)]*)?(?:\(?[0-9]{3}[ .)]*)?[0-9]{3}[ .)]*[0-9]{4}",  # telephone number
            r"[:8][oO']?[])([dDpP:]",  # emoticon: eyes, nose, mouth
            r"[])([dDpP:][oO']?[:8]",  # emoticon: mouth, nose, eyes
            r"[A-Za-z][A-Za-z'_]+[A-Za-z]",  # word with apostrophes
            r"[0-9]+[,.:][0-9]+",  # number, time
            r"[A-Za-z0-9_]+",
            r"\.(?: *\.)+",  # dots
            r"[^ ]",
        )
    ),
    re.ASCII,
)


def tokenize(text: str) -> str:
    """Return the tokens of a text, joined by single spaces.

    Args:
        text: of the characters named above.
    """
    if has_telephone(text):
        return " ".join(" ".join(_tokens(text)).split())
    return " ".join([simple(word) or " ".join(_tokens(word)) for word in text.split()])


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(_RUN.sub(r"\1\1\1", text))


def simple(word: str) -> str | None:
    """Return the tokens of a word, joined by spaces, if they are plain to see; else None."""
    match = _SIMPLE.fullmatch(word)
    if match is None:
        return None
    letters, dots, others = match.groups()
    if not (dots or others):
        return word
    return f"{letters} {dots or ' '.join(others)}"


def has_telephone(text: str) -> bool:
    """Return whether a telephone number may join words of a text: it must be tokenized whole."""
    return _TELEPHONE.search(text) is not None
