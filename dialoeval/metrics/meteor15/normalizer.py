"""METEOR 1.5's English tokenizer (`-norm`), many texts at a time.

Texts are joined by line feeds and every rule runs once over all of them. The result is the same: each text is wrapped
in spaces, no rule's pattern spans a space, and a text's own line feeds become tabs, which all rules treat alike.
Java's patterns take ASCII only for white space and digits, and split words at fewer characters than Python does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

_LETTERS = (
    "A-Za-z\u0160\u017d\u0161\u017e\u0178\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u017e"  # Latin
    "\u0400-\u04ff\u0500-\u0527\ua640-\ua66e\ua67e-\ua697\u1d00-\u1d7f"  # Cyrillic, phonetic extensions
)
_LETTER = re.compile(f"[{_LETTERS}]")
_OTHER = re.compile(f"([^0-9{_LETTERS}\\t\\n\\x0b\\f\\r .'`,\\-\u2018\u2019])")
_NOT_ALPHANUMERIC = re.compile(f"[^0-9{_LETTERS}]")
_DOTS = re.compile(r"\.\.+")
# Stands for a run of dots: a token of its own that, like the jar's own stand-in, begins with a capital D and ends in
# no dot. No text can hold it: the step before puts spaces around every private-use character.
_DOTS_MARK = "\ue000"
_MARKED_DOTS = re.compile(f"D({_DOTS_MARK}+)D")
_JAR_MARK = "DOTMULTI"  # the jar's stand-in, which a text can hold
_WORD_END_DOT = re.compile(r"[^\t\n\f\r ]\.[\t\f\r ]")
_DIGITS = frozenset("0123456789")
_LOWER = re.compile("[a-z]")

SPACES = re.compile(r"[ \t\n\r\f]+")  # where java.util.StringTokenizer splits
_UNICODE_SPACES = re.compile("[ \u2000-\u200a\u202f\u205f\u3000\u00a0]+")
_TRIMMED = "".join(map(chr, range(33)))  # what String.trim strips


@lru_cache(maxsize=1 << 12)
def _is_letter(character: str) -> bool:
    return _LETTER.match(character) is not None


def _is_digit(character: str) -> bool:
    return character in _DIGITS


def _is_alphanumeric(character: str) -> bool:
    return character in _DIGITS or _is_letter(character)


def _around(text: str, mark: str, replacement: str, left: Callable[[str], bool], right: Callable[[str], bool]) -> str:
    """Replace each `mark` between fitting characters, as the regular expression ``(left)mark(right)`` would.

    As in the jar, from left to right and without overlap: the last character of one match cannot begin another.
    """
    pieces: list[str] = []
    copied = 0  # number of characters in `pieces`
    begin = 0  # earliest start of the next match
    at = text.find(mark)
    while at >= 0:
        if at > begin and at + 1 < len(text) and left(text[at - 1]) and right(text[at + 1]):
            pieces += (text[copied:at], replacement)
            copied = at + 1
            begin = at + 2
        at = text.find(mark, at + 1)
    pieces.append(text[copied:])
    return "".join(pieces)


def _not(test: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda character: not test(character)


def _mark_dots(text: str) -> str:
    return _DOTS.sub(lambda match: f" D{_DOTS_MARK * len(match[0])}D ", text)


def _unmark_dots(text: str) -> str:
    return _MARKED_DOTS.sub(lambda match: "." * len(match[1]), text)


def _jar_mark_dots(text: str) -> str:
    """Mark runs of dots in the jar's way, for a text that contains the jar's own mark."""
    text = _DOTS.sub(lambda match: f" {_JAR_MARK}{match[0][1:]}", text)
    while f"{_JAR_MARK}." in text:
        text = re.sub(r"DOTMULTI\.([^.])", r"DOTDOTMULTI \1", text)
        text = text.replace("DOTMULTI.", "DOTDOTMULTI")
    return text


def _jar_unmark_dots(text: str) -> str:
    while "DOTDOTMULTI" in text:
        text = text.replace("DOTDOTMULTI", "DOTMULTI.")
    return text.replace(_JAR_MARK, ".")


def _separate(text: str, mark_dots: Callable[[str], str]) -> str:
    """Apply the jar's punctuation rules, in its order, to lines wrapped in spaces."""
    text = mark_dots(_OTHER.sub(r" \1 ", text))
    for left, right in ((_not(_is_digit), _not(_is_digit)), (_is_digit, _not(_is_digit)), (_not(_is_digit), _is_digit)):
        text = _around(text, ",", " , ", left, right)
    for quote in "`\u2018\u2019":
        text = text.replace(quote, "'")
    text = text.replace("\u201c", ' " ').replace("\u201d", ' " ').replace("''", ' " ')
    text = text.replace("\u2013", "-").replace("--", "-")
    text = _around(text, "-", " ", lambda c: c == "." or _is_alphanumeric(c), _is_alphanumeric)
    text = _around(text, "'", " ' ", _not(_is_letter), _not(_is_letter))
    text = _around(text, "'", " ' ", _not(_is_alphanumeric), _is_letter)
    text = _around(text, "'", " ' ", _is_letter, _not(_is_letter))
    text = _around(text, "'", " '", _is_letter, _is_letter)
    return _around(text, "'", " '", _is_digit, lambda c: c == "s")


def _split_final_dots(line: str, prefixes: dict[str, bool]) -> str:
    """Split sentence-final dots from words, but not those of abbreviations.

    Args:
        line: words separated by spaces.
        prefixes: abbreviation -> whether it only counts before a number.
    """
    tokens = [token for token in SPACES.split(line) if token]
    out = []
    for n, token in enumerate(tokens):
        if len(token) > 1 and token.endswith("."):
            word = token[:-1]
            after = tokens[n + 1] if n + 1 < len(tokens) else ""
            only_numbers = prefixes.get(word)
            if "." in word and _LETTER.search(word):
                token = token.replace(".", "")
            elif only_numbers is not False and not _LOWER.match(after) and not (only_numbers and after[:1] in _DIGITS):
                token = f"{word} ."
        out.append(token)
    return " ".join(out)


def _finish(line: str, prefixes: dict[str, bool], unmark_dots: Callable[[str], str], punctuation: bool) -> str:
    if _WORD_END_DOT.search(line):
        line = _split_final_dots(line, prefixes)
    line = unmark_dots(line)
    if not punctuation:
        line = _NOT_ALPHANUMERIC.sub(" ", line)
    if not line.isascii():
        line = _UNICODE_SPACES.sub(" ", line)
    return line.strip(_TRIMMED)


def join_surrogates(text: str) -> str:
    """Return the text with each surrogate pair as one character, as Java reads it; lone surrogates stay."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def normalize(texts: Sequence[str], prefixes: dict[str, bool], *, punctuation: bool = True) -> list[str]:
    """Return the output of the jar's English tokenizer for each text, in its original case.

    Args:
        texts: replies or references.
        prefixes: abbreviation -> whether it only counts before a number.
        punctuation: whether to keep punctuation.
    """
    lines = [text.replace("\n", "\t") for text in texts]
    with_jar_mark = {
        n: _finish(_separate(f" {line} ", _jar_mark_dots), prefixes, _jar_unmark_dots, punctuation)
        for n, line in enumerate(lines)
        if _JAR_MARK in line
    }
    wrapped = [" " if n in with_jar_mark else f" {line} " for n, line in enumerate(lines)]
    joined = _separate("\n".join(wrapped), _mark_dots)
    normalized = [_finish(line, prefixes, _unmark_dots, punctuation) for line in joined.split("\n")]
    return [with_jar_mark.get(n, line) for n, line in enumerate(normalized)]
