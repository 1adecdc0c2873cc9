"""BM25 as in Lucene, by the package bm25s: score = sum over the query's words of idf * tf / (tf + k1 * norm).

idf = ln(1 + (N - df + 0.5) / (df + 0.5)), norm = 1 - b + b * length / mean length. A word that a query has twice counts
twice. Kamphuis et al., "Which BM25 do you mean?" (2020), row Lucene (accurate).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from dialoeval.errors import UserError

K1, B = 1.5, 0.75
MAX_DOCUMENTS = 5_000_000  # of 15 words: about 5 GB, and 0.1 s a query
_WORD = re.compile(r"[\w']+")


def words(text: str) -> list[str]:
    """Return the lower-cased words of a text: letters, digits, underscores and apostrophes; no word is left out."""
    return _WORD.findall(text.lower())


class Bm25:
    """An index of documents.

    Raises:
        UserError: bm25s is not installed, there are too many documents, or none has a word.
    """

    def __init__(self, documents: Sequence[str]) -> None:
        try:
            import bm25s
        except ImportError as error:
            raise UserError("the baseline bm25 needs a package: pip install 'dialoeval[retrieval]'") from error
        check_size("bm25", len(documents), MAX_DOCUMENTS)
        self.vocabulary: dict[str, int] = {}
        number = self.vocabulary.setdefault
        ids = [[number(word, len(self.vocabulary)) for word in words(text)] for text in documents]
        if not self.vocabulary:
            raise UserError("the baseline bm25 cannot search its training set: no document has a word")
        self.documents = len(documents)
        self.index = bm25s.BM25(k1=K1, b=B, method="lucene", dtype="float64")
        self.index.index((ids, self.vocabulary), create_empty_token=False, show_progress=False)

    def identity(self) -> dict[str, Any]:
        """Return the formula and the words; the package's version changes neither."""
        return {"bm25": f"lucene|k1:{K1}|b:{B}|words:{_WORD.pattern}|lower"}

    def scores(self, query: str) -> np.ndarray:
        """Return the (documents,) float64 scores, 0 where no word is shared."""
        known = [self.vocabulary[word] for word in words(query) if word in self.vocabulary]
        if not known:
            return np.zeros(self.documents)
        found: np.ndarray = self.index.get_scores_from_ids(known)
        return found


def check_size(baseline: str, documents: int, limit: int) -> None:
    """Check that a training set is not too large to search in memory.

    Raises:
        UserError: it is.
    """
    if documents > limit:
        raise UserError(
            f"the baseline {baseline} searches at most {limit:,} documents in memory, not {documents:,}: set "
            "model.baseline.settings.limit"
        )
