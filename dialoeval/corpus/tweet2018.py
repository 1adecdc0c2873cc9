"""NLTK 3.4.1's TweetTokenizer in lower case, which made the DSTC-7 sets, from the patterns of the installed NLTK.

Later versions take flags, emoji with tones or joiners, and ``</3`` for one word each, bound the length of e-mail
addresses, and read texts with the package `regex`, for which marks of other scripts belong to words, and the separators
U+001C to U+001F into HTML entities. A conversation's key would be another one with any of these.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

_BOUND = re.compile(r"\{1,(?:63|64|251)\}")  # of the parts of an e-mail address
_RUN = re.compile(r"([^a-zA-Z0-9])\1{3,}")  # of any character but ASCII letters and digits


def tokenize(text: str) -> list[str]:
    """Split a text into words; all in lower case but those with an emoticon in them."""
    word, emoticon, without_entities = _patterns()
    text = re.sub(r"\S+", lambda word: without_entities(word[0]), text)
    words = word.findall(_RUN.sub(r"\1\1\1", text))
    return [word if emoticon.search(word) else word.lower() for word in words]


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str], Callable[[str], str]]:
    """Return the pattern of words, that of emoticons, and what makes characters of HTML entities."""
    from nltk.tokenize import casual

    emoticons = casual.EMOTICONS.replace("</?3", "<3")
    others = [_BOUND.sub("+", part) for part in casual.REGEXPS[2:] if part != casual.FLAGS and "u200d" not in part]
    words = "|".join([casual.URLS, casual.PHONE_REGEX, emoticons, *others])
    flags = re.VERBOSE | re.IGNORECASE
    return re.compile(f"(?:{words})", flags), re.compile(emoticons, flags), casual._replace_html_entities
