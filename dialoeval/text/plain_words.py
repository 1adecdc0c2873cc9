"""Words of a text without case and punctuation, by which texts are compared for copying and contamination."""

from __future__ import annotations

import string
import sys
import unicodedata
from functools import lru_cache

NORMALISATION = "case:lower|punct:deleted|tok:split"


@lru_cache
def _deleted() -> dict[int, None]:
    """Return a table that deletes ASCII punctuation (as string.punctuation has it) and that of Unicode."""
    marks = {code for code in range(128, sys.maxunicode + 1) if unicodedata.category(chr(code)).startswith("P")}
    return dict.fromkeys([*map(ord, string.punctuation), *marks])


_ASCII = str.maketrans("", "", string.punctuation)


def plain_words(text: str) -> list[str]:
    """Return the words between white space, in lower case and without punctuation.

    Source: the decontamination of lm-evaluation-harness (Janitor), which deletes ASCII punctuation only.
    """
    return text.lower().translate(_ASCII if text.isascii() else _deleted()).split()


def plain_text(text: str) -> str:
    """Return the `plain_words` joined by spaces."""
    return " ".join(plain_words(text))
