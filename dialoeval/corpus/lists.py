"""Lists that a recipe names: offensive phrases, subreddits, and the published keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dialoeval.corpus.dumps import blocks
from dialoeval.corpus.recipe import Recipe
from dialoeval.errors import UserError

_WORD = re.compile("[a-z0-9_]+")


def list_file(path: str, month: str, ending: str = "") -> Path:
    """Return the file of a setting: itself, or in a folder the file MONTH + `ending` + .gz.

    Raises:
        UserError: there is no such file.
    """
    file = Path(path)
    if file.is_dir():
        file /= f"{month}{ending}.gz"
    if not file.is_file():
        raise UserError(f"no such file: {file}")
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


def _entries(path: str) -> list[str]:
    """Return the lines of a list that are no comments (`#` in front), without white space at their ends."""
    return [line.rstrip() for line in read_list(list_file(path, "")) if line[:1] != "#"] if path else []


def load(recipe: Recipe, month: str) -> Lists:
    """Read the lists of a recipe for one month.

    Raises:
        UserError: a file is missing or cannot be read.
    """
    keys = None
    if recipe.keys:
        keys = frozenset(line.rstrip() for line in read_list(list_file(recipe.keys, month)))
    discard: frozenset[str] = frozenset()
    if recipe.discard:
        discard = frozenset(line.rstrip() for line in read_list(list_file(recipe.discard, month, "-o")))
    return Lists(
        phrases=Phrases(_entries(recipe.words)),
        subreddits=frozenset(name.lower() for name in _entries(recipe.subreddits)) if recipe.subreddits else None,
        dep=None if keys is None else frozenset(key for key in keys if key.endswith("\tdep")),
        keep=None if keys is None else frozenset(key for key in keys if not key.endswith("\tdep")),
        discard=discard,
    )
