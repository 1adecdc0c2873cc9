"""NLTK's TweetTokenizer on the few characters that the DSTC7 cleaning leaves.

After that cleaning a line holds only ``a-z 0-9 _ ( ) : , . ! ? " '`` and spaces. Handles, tags, hashtags, emoji,
arrows, paths and HTML entities cannot occur, so that few of the tokenizer's patterns remain. The words are those of
NLTK 3.10, without its import time (a second) and its wall-clock limit on long lines.
"""

from __future__ import annotations

import re

# Runs of four or more equal characters become three, including white space but not letters and digits.
_RUN = re.compile(r"([^a-z0-9])\1{3,}")

# The alternatives in NLTK's order: the first that matches at a position is the word.
_PARENTHESES = r"\([^\s()]{0,255}?\([^\s()]{1,255}\)[^\s()]{0,255}?\)|\([^\s]{1,255}?\)"
_HTTP = rf"https?:[a-z0-9](?:[^\s()]|{_PARENTHESES})+(?:{_PARENTHESES}|[^\s!()':\".,?])"
_DOMAIN = r"[a-z0-9]+(?:\.[a-z0-9]+){0,126}\.[a-z]{2,13}\b"
_OTHERS = "|".join(
    (
        r"(?:[01][ .)]*)?(?:\(?\d{3}[ .)]*)?\d{3}[ .)]*\d{4}",  # telephone number
        r"[:8][o']?[)(dp:]",  # emoticon: eyes, nose, mouth
        r"[)(dp:][o']?[:8]",  # emoticon: mouth, nose, eyes
        r"[a-z][a-z'_]+[a-z]",  # word with apostrophes
        r"\d+[,.:]\d+",  # number, time
        r"[a-z0-9_]+",
        r"\.(?:\s*\.)+",  # dots
        r"\S",
    )
)
_WORD = re.compile(_OTHERS, re.ASCII)
_WORD_OR_DOMAIN = re.compile(f"{_DOMAIN}|{_OTHERS}", re.ASCII)
_WORD_OR_URL = re.compile(f"{_HTTP}|{_DOMAIN}|{_OTHERS}", re.ASCII)


def tokenize(text: str) -> list[str]:
    """Split cleaned `text` into words; telephone numbers and runs of dots may contain spaces.

    Args:
        text: one line of the characters listed above.
    """
    text = _RUN.sub(r"\1\1\1", text)
    if "http:" in text or "https:" in text:  # joined from parts of a markdown link; other URLs are __url__ already
        return _WORD_OR_URL.findall(text)
    # Without a dot there is no domain, and trying one at every digit of a long number would take quadratic time.
    return (_WORD_OR_DOMAIN if "." in text else _WORD).findall(text)
