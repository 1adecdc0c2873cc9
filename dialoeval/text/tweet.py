"""NLTK's TweetTokenizer on the few characters that the DSTC7 cleaning leaves.

After that cleaning a line holds only ``a-z 0-9 _ ( ) : , . ! ? " '`` and spaces, so that handles, tags, hashtags,
emoji, arrows, paths and HTML entities cannot occur, and what is left of the tokenizer's patterns is short. It needs no
NLTK (a second to import, and a wall-clock limit that refuses long lines), and gives the same words as NLTK 3.10.
"""

from __future__ import annotations

import re

# Runs of four and more of one character become three, white space too; letters and digits are left alone.
_RUN = re.compile(r"([^a-z0-9])\1{3,}")

# The alternatives in NLTK's order: the first that matches at a place is the word.
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
    """Split `text`, which must hold only the characters named above, into words; telephone numbers and dots may hold
    spaces."""
    text = _RUN.sub(r"\1\1\1", text)
    if "http:" in text or "https:" in text:  # joined from the parts of a markdown link; others are __url__ by now
        return _WORD_OR_URL.findall(text)
    # A domain needs a dot. Without one, trying it at every digit of a long number would take quadratic time.
    return (_WORD_OR_DOMAIN if "." in text else _WORD).findall(text)
