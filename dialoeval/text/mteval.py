"""The default ("non-international") tokenizer of NIST's mteval-v14 script, for NIST and BLEU."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Perl's \s on decoded text. Python's \s and str.split() also match U+001C..U+001F, which XML forbids.
_SPACE = re.compile("[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_PUNCTUATION = re.compile(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])")
_AFTER_NON_DIGIT = re.compile(r"([^0-9])([\.,])")
_BEFORE_NON_DIGIT = re.compile(r"([\.,])([^0-9])")
_DASH_AFTER_DIGIT = re.compile(r"([0-9])(-)")
_ASCII_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def tokenize(lines: Iterable[str]) -> list[list[str]]:
    """Split each line into words. Equal lines are tokenized once and share one list."""
    words_of: dict[str, list[str]] = {}
    tokenized = []
    for line in lines:
        if line not in words_of:
            words_of[line] = tokenize_line(line)
        tokenized.append(words_of[line])
    return tokenized


def tokenize_line(line: str) -> list[str]:
    """Split one line into words as mteval-v14 does: ASCII letters lower-cased, most ASCII punctuation split off.

    Substitutions are from left to right and do not overlap: adjacent matches share no character, which matters for runs
    such as ``...``. Non-ASCII letters keep their case.
    """
    text = line.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, character in (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")):
        text = text.replace(entity, character)
    text = f" {text} ".translate(_ASCII_LOWER)
    text = _PUNCTUATION.sub(r" \1 ", text)
    text = _AFTER_NON_DIGIT.sub(r"\1 \2 ", text)
    text = _BEFORE_NON_DIGIT.sub(r" \1 \2", text)
    text = _DASH_AFTER_DIGIT.sub(r"\1 \2 ", text)
    return [word for word in _SPACE.split(text) if word]


def xml_line(line: str, empty_word: str | None) -> str:
    """Return a line as the evaluation scripts write it into mteval's XML: ``&`` and ``<`` become spaces.

    With `empty_word`, an empty line becomes that word (``__empty__`` in the DSTC7 script).
    """
    line = line.replace("&", " ").replace("<", " ")
    return empty_word if empty_word and not line else line
