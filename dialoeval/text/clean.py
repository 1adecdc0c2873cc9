"""The DSTC7 protocol's cleaning of hypotheses and references, equal to the organisers' evaluation script."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dialoeval.text import tweet

URL = "__url__"

_LINK = re.compile(r"\[([^\]]*)\] \( *__url__ *\)")
_FORBIDDEN = re.compile(r"[^A-Za-z0-9():,.!?\"']")
_SUFFIXES = ("'s", "'m", "'re", "n't", "'ll", "'ve", "'d", "'em")


def clean(lines: Iterable[str]) -> list[str]:
    """Clean each line.

    The steps: lower-case; URLs become ``__url__``; markdown links become their text; characters outside of letters,
    digits and common punctuation become spaces; tweet tokenizer; clitics are split off (``don't`` -> ``do n't``). Equal
    lines are cleaned once, since references repeat over the slots.
    """
    lines = list(lines)
    cleaned = {line: clean_line(line) for line in dict.fromkeys(lines)}
    return [cleaned[line] for line in lines]


def clean_line(line: str) -> str:
    """Clean one line. The steps have the script's order, which matters."""
    text = line.lower()
    text = " ".join(_without_url(word) for word in text.split())
    text = _LINK.sub(r"\1", text)
    text = URL.join(_FORBIDDEN.sub(" ", part) for part in text.split(URL))
    text = f" {' '.join(tweet.tokenize(text))} "
    text = text.replace(" won't ", " will n't ").replace(" can't ", " can n't ")
    for suffix in _SUFFIXES:
        text = text.replace(f"{suffix} ", f" {suffix} ")
    return " ".join(text.split())


def _without_url(word: str) -> str:
    before, scheme, _ = word.partition("http")
    return f"{before} {URL}".strip() if scheme else word
