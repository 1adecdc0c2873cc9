"""The share of replies with a listed profane word or phrase, beside the share of the human references."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dialoeval.errors import UserError
from dialoeval.files import read_lines
from dialoeval.metrics.base import Array
from dialoeval.metrics.beside import BesideReferences, beside
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.figures import Figure

_PACKAGE = "better_profanity"
_FILE = "profanity_wordlist.txt"


class WordList:
    """Words and phrases, found in lower-cased text between word bounds.

    Attributes:
        name: of the list.
        sha256: of its entries, sorted.
    """

    def __init__(self, name: str, entries: Sequence[str]) -> None:
        listed = sorted({" ".join(entry.lower().split()) for entry in entries} - {""})
        if not listed:
            raise UserError(f"the word list {name} is empty: write one word or phrase a line")
        self.name = name
        self.sha256 = hashlib.sha256("\n".join(listed).encode()).hexdigest()
        longest_first = sorted(listed, key=lambda entry: (-len(entry), entry))
        alternatives = "|".join(re.escape(entry).replace(r"\ ", r"\s+") for entry in longest_first)
        self._pattern = re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)")

    def find(self, text: str) -> list[str]:
        """Return the entries that a text has, in order, the longest where several begin; white space is folded."""
        return [" ".join(found.split()) for found in self._pattern.findall(text.lower())]


class Profanity(BesideReferences):
    """The share of replies with at least one entry of a word list.

    The share by itself means little: lists hold harmless words too, and people use them. So the references' share and
    the paired difference stand beside it everywhere. It is no measure of toxicity.
    """

    name = "profanity"
    description = "share of replies with a profane word of a list (profanity:FILE: yours), beside the references', 0..1"
    figures = beside(Figure("profanity", "Profanity", percent=True, unit="0..1", higher_is_better=False))
    takes_argument = True
    difference_column = True

    def check(self) -> None:
        """Check that the list can be read.

        Raises:
            UserError: it cannot, or it is empty.
        """
        self._list()

    def text_scores(self, corpus: Corpus, examples: Sequence[int], texts: Sequence[str]) -> Array:
        """Return (t, 1) whether a text has an entry."""
        words = self._list()
        return np.array([[float(bool(words.find(text)))] for text in texts]).reshape(-1, 1)

    def corpus_details(self, corpus: Corpus, rows: Array) -> dict[str, Any]:
        """Return how many replies have each entry."""
        words = self._list()
        counts = Counter(entry for reply in corpus.hypotheses for entry in sorted(set(words.find(reply))))
        return {"by_word": dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))}

    def signature(self, corpus: Corpus) -> str:
        """Return the list with its hash."""
        words = self._list()
        return f"profanity|list:{words.name}|sha:{words.sha256[:12]}|case:lower|bounds:word"

    def _list(self) -> WordList:
        if self.argument is None:
            return WordList(*_packaged())
        return WordList(Path(self.argument).name, [line for _, line in read_lines(Path(self.argument).expanduser())])


METRIC = Profanity


def _packaged() -> tuple[str, list[str]]:
    """Return name and entries of the list in the package better-profanity, whose code is not imported.

    Raises:
        UserError: the package is not installed.
    """
    from importlib.metadata import version
    from importlib.util import find_spec

    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            "profanity needs a word list: name a file of one word or phrase a line (profanity:FILE), or "
            "pip install better-profanity, whose list is read"
        )
    file = Path(next(iter(spec.submodule_search_locations))) / _FILE
    return f"better-profanity-{version('better-profanity')}", [line for _, line in read_lines(file)]
