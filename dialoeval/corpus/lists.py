"""Lists that a recipe names: offensive phrases, subreddits, and the published keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dialoeval.corpus.dumps import blocks
from dialoeval.corpus.recipe import Recipe
from dialoeval.errors import UserError

_MONTHLY = {"keys": ".gz", "discard": "-o.gz"}  # setting -> what follows the month in a folder of its files
_DIGEST = re.compile("[0-9a-f]{56}")
_WORD = re.compile("[a-z0-9_]+")


def list_file(setting: str, path: str, month: str) -> Path:
    """Return the file of a setting: itself; for `keys` and `discard` a folder may stand for its file of the month.

    Raises:
        UserError: there is no such file.
    """
    file = Path(path)
    if file.is_dir():
        if setting not in _MONTHLY:
            raise UserError(f"{setting}={path} is a folder: expected a file")
        file /= month + _MONTHLY[setting]
    if not file.is_file():
        raise UserError(f"no such file: {file} ({setting}={path})")
    return file


def read_list(path: Path) -> Iterator[str]:
    """Yield the lines of a list, plain or compressed, without their ends.

    Raises:
        UserError: the file cannot be read, or is not UTF-8.
    """
    number = 0
    for block in blocks(path):
        for line in block.splitlines():
            number += 1
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise UserError(f"{path}, line {number}: not UTF-8 text") from error


class Phrases:
    """Words and phrases to be found in a text: in any case, between characters other than ``A-Z a-z 0-9 _``."""

    def __init__(self, phrases: list[str]) -> None:
        phrases = sorted({phrase.lower() for phrase in phrases if phrase})
        # A phrase that begins with a word can only stand where its first word stands: most texts need no search.
        self.first = {match.group() for phrase in phrases if (match := _WORD.match(phrase))}
        self.always = len([phrase for phrase in phrases if _WORD.match(phrase)]) < len(phrases)
        self.pattern = re.compile(f"(?<![a-z0-9_])(?:{'|'.join(map(re.escape, phrases))})(?![a-z0-9_])")
        self.some = bool(phrases)

    def found(self, text: str) -> bool:
        """Return whether the text holds one."""
        if not self.some:
            return False
        text = text.lower()
        if not self.always and self.first.isdisjoint(_WORD.findall(text)):
            return False
        return self.pattern.search(text) is not None


@dataclass(frozen=True)
class Lists:
    """The lists of one month.

    Attributes:
        phrases: offensive ones.
        subreddits: those to drop, lower case; None: no list was given.
        dep: ``link TAB comment TAB dep`` of the comments to read; None: all.
        keep: ``link TAB comment TAB keep`` of the comments to answer with; None: all.
        discard: SHA-224, in hex, of turns that weigh 0.
    """

    phrases: Phrases
    subreddits: frozenset[str] | None = None
    dep: frozenset[str] | None = None
    keep: frozenset[str] | None = None
    discard: frozenset[str] = frozenset()


def _entries(setting: str, path: str) -> list[str]:
    """Return the lines of a list that are no comments (`#` in front), without white space at their ends."""
    return [line.rstrip() for line in read_list(list_file(setting, path, "")) if line[:1] != "#"] if path else []


def _of_month(setting: str, path: str, month: str) -> frozenset[str]:
    """Return the lines of a list of the month.

    Raises:
        UserError: as `list_file` and `read_list`.
    """
    return frozenset(line.rstrip() for line in read_list(list_file(setting, path, month))) if path else frozenset()


def load(recipe: Recipe, month: str) -> Lists:
    """Read the lists of a recipe for one month.

    Raises:
        UserError: a file is missing, cannot be read, or holds something else.
    """
    keys = _of_month("keys", recipe.keys, month)
    dep = frozenset(key for key in keys if key.endswith("\tdep"))
    if any(keys) and not dep:
        raise UserError(f"keys={recipe.keys}: no line of {month} is a link, a comment and `dep`, separated by tabs")
    discard = _of_month("discard", recipe.discard, month)
    if any(discard) and not any(_DIGEST.fullmatch(line) for line in discard):
        raise UserError(f"discard={recipe.discard}: no line of {month} is the 56 hexadecimal digits of a SHA-224")
    subreddits = frozenset(name.lower() for name in _entries("subreddits", recipe.subreddits))
    return Lists(
        phrases=Phrases(_entries("words", recipe.words)),
        subreddits=subreddits if recipe.subreddits else None,
        dep=dep if recipe.keys else None,
        keep=keys - dep if recipe.keys else None,
        discard=discard,
    )
