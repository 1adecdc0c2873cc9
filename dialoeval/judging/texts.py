"""Texts as judges see them, and whether their surface gives a system away."""

from __future__ import annotations

import re
import statistics
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dialoeval.judging.design import Display

_SPACED = re.compile(r"\s[.,!?;:](?=\s|$)")
_JOINERS = "\u200c\u200d"  # parts of words in some scripts, and of emoji


def shown(text: str, display: Display) -> str:
    """Return a text as the page shows it: in the study's display, with characters that cannot be seen spelled out."""
    if display == Display.uncased:
        text = text.lower()
    elif display == Display.detokenized:
        text = _detokenized(text)
    text = text.replace("\r\n", "\n").strip()
    return "".join(_visible(text, i) for i in range(len(text)))


def _visible(text: str, i: int) -> str:
    character = text[i]
    if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs"):
        return character
    around = text[max(0, i - 1) : i] + text[i + 1 : i + 2]
    if character in _JOINERS and len(around) == 2 and not any(neighbour.isascii() for neighbour in around):
        return character
    return f"[U+{ord(character):04X}]"


def _detokenized(text: str) -> str:
    text = re.sub(r"\s+([.,!?;:)\]])(?=\s|$)", r"\1", text)
    text = re.sub(r"\s+(n['’]t|['’](?:s|re|ve|ll|d|m))\b", r"\1", text, flags=re.IGNORECASE)
    return re.sub(r"([(\[])\s+", r"\1", text)


@dataclass(frozen=True)
class Surface:
    """What judges could tell a system by.

    Attributes:
        capitals: share of replies with a capital letter.
        spaced: share of replies with a space before punctuation.
        words: median words.
        empty: replies without text.
    """

    capitals: float
    spaced: float
    words: float
    empty: int


def surface(replies: Sequence[str]) -> Surface:
    """Describe the surface of a system's replies; there must be at least one."""
    n = len(replies)
    return Surface(
        capitals=sum(any(c.isupper() for c in text) for text in replies) / n,
        spaced=sum(bool(_SPACED.search(text)) for text in replies) / n,
        words=statistics.median(len(text.split()) for text in replies),
        empty=sum(not text.strip() for text in replies),
    )


def surface_warnings(surfaces: Mapping[str, Surface], pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Return a sentence for each pair that the surface gives away: 20 points of a share, or 1.5 times the words."""
    warnings = []
    for a, b in pairs:
        x, y = surfaces[a], surfaces[b]
        for what, left, right, remedy in (
            ("letter case", x.capitals, y.capitals, "; consider `display: uncased`"),
            ("spaces before punctuation", x.spaced, y.spaced, "; consider `display: detokenized`"),
        ):
            if abs(left - right) > 0.2:
                warnings.append(f"judges can tell {a} from {b} by {what} ({left:.0%} vs {right:.0%}){remedy}")
        if max(x.words, y.words) > 1.5 * min(x.words, y.words):
            warnings.append(f"judges can tell {a} from {b} by length (median {x.words:g} vs {y.words:g} words)")
    return warnings
