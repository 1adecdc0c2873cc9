"""Test examples that stand in training data: whole pairs, whole contexts, n-grams of context, reference and border.

Sources: the decontamination of lm-evaluation-harness (words, n = 13, what occurs more than 10 times is left out) and of
HELM (n-grams of the input, of the reference, and across their border).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dialoeval.data.example import Example
from dialoeval.data.training_text import TrainingText
from dialoeval.errors import UserError
from dialoeval.text.grams import Grams, Windows
from dialoeval.text.plain_words import plain_text

ORDERS = (8, 13)
COMMON = 10  # what training has more often is said by everyone
PLACES = ("reference", "context", "border")
Bools = npt.NDArray[np.bool_]
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Found:
    """One kind of overlap of n examples with training.

    Attributes:
        name: ``pair``, ``context``, ``ngram8``, ``ngram8.reference``, ...
        looked_up: (n,) whether the example has something of this kind.
        seen: (n,) whether training has it.
        rare: (n,) whether training has it at most `COMMON` times (one of the n-grams, for those).
        covered: (n,) share of the words of the references in n-grams seen in training, as (all, rare ones only); None
            for kinds that are no n-grams of references.
    """

    name: str
    looked_up: Bools
    seen: Bools
    rare: Bools
    covered: tuple[Array, Array] | None = None


@dataclass(frozen=True)
class Contamination:
    """The overlap of n examples with training data.

    Attributes:
        found: of each kind.
        dialogues: of the training data.
        words: of the training data.
        sha256: of the training data's turns.
    """

    found: tuple[Found, ...]
    dialogues: int
    words: int
    sha256: str

    @property
    def clean(self) -> Bools:
        """(n,) whether nothing of the example stands in training, except for what training has often."""
        contaminated: Bools = np.logical_or.reduce([kind.rare for kind in self.found])
        return ~contaminated


def contamination(
    examples: Sequence[Example], training: TrainingText, step: Callable[[], None] = lambda: None
) -> Contamination:
    """Look examples up in training data, in one pass over it; only the examples are in memory.

    N-grams may reach over turns, on both sides. Words are compared without case and punctuation.

    Args:
        examples: with contexts and references.
        training: read once.
        step: called after each dialogue of training.

    Raises:
        UserError: the training data cannot be read or has no words.
    """
    test = _Test(examples)
    grams = Grams(test.texts, ORDERS)
    pairs = dict.fromkeys(itertools.chain.from_iterable(test.pairs), 0)
    contexts = {turns: 0 for turns in test.contexts if turns}
    by_last: dict[str, set[int]] = {}
    for turns in contexts:
        by_last.setdefault(turns[-1], set()).add(len(turns))

    def texts() -> Iterator[list[str]]:
        for dialogue in training.read():
            plain = [plain_text(turn) for turn in dialogue]
            for i, turn in enumerate(plain):
                if i and (pair := (plain[i - 1], turn)) in pairs:
                    pairs[pair] += 1
                for length in by_last.get(turn, ()):
                    if length <= i + 1 and (turns := tuple(plain[i + 1 - length : i + 1])) in contexts:
                        contexts[turns] += 1
            step()
            yield " ".join(plain).split()

    grams.count(texts())
    if not grams.words:
        raise UserError(f"the training data {training.name} has no words: nothing could be found in it")
    found = (
        _whole("pair", [[pairs[pair] for pair in own] for own in test.pairs]),
        _whole("context", [[contexts[turns]] if turns else [] for turns in test.contexts]),
        *(kind for n in ORDERS for kind in test.ngrams(n, grams.windows(n))),
    )
    return Contamination(found, training.dialogues, grams.words, training.sha256)


class _Test:
    """The texts of the examples: each context, with the first reference; its end with each further reference.

    Attributes:
        pairs: for each example, (last turn, reference) of each reference; none if one of the two has no words.
        contexts: for each example, its turns; empty if one has no words.
        texts: words to look n-grams up in.
        border: of each text, the number of words before the reference.
        owner: of each text, the example.
        first: of each text, whether its context is whole.
    """

    def __init__(self, examples: Sequence[Example]) -> None:
        self.n = len(examples)
        self.pairs: list[list[tuple[str, str]]] = []
        self.contexts: list[tuple[str, ...]] = []
        self.texts: list[list[str]] = []
        border, owner, first = [], [], []
        for i, example in enumerate(examples):
            turns = tuple(plain_text(turn) for turn in example.context)
            references = list(dict.fromkeys(filter(None, map(plain_text, example.references))))
            last = turns[-1] if turns else ""
            self.pairs.append([(last, reference) for reference in references] if last else [])
            self.contexts.append(turns if all(turns) else ())
            context = " ".join(turns).split()
            for k, reference in enumerate(references or [""]):
                before = context if k == 0 else context[1 - max(ORDERS) :]
                self.texts.append([*before, *reference.split()])
                border.append(len(before))
                owner.append(i)
                first.append(k == 0)
        self.border, self.owner = np.array(border, dtype=np.int64), np.array(owner, dtype=np.int64)
        self.first = np.array(first, dtype=bool)
        self.lengths = np.array([len(words) for words in self.texts], dtype=np.int64)

    def ngrams(self, n: int, windows: Windows) -> list[Found]:
        """Return the overlap in n-grams, of all places together and of each."""
        text, start, seen = windows.text, windows.start, windows.count > 0
        rare = seen & (windows.count <= COMMON)
        in_context = start + n <= self.border[text]
        in_reference = start >= self.border[text]
        places = (in_reference, in_context & self.first[text], ~in_context & ~in_reference)
        found = []
        for name, place in zip(PLACES, places, strict=True):
            looked_up, there, rarely = (self._any(text[place & flag]) for flag in (True, seen, rare))
            found.append(Found(f"ngram{n}.{name}", looked_up, there, rarely))
        anywhere = Found(
            f"ngram{n}",
            np.logical_or.reduce([kind.looked_up for kind in found]),
            np.logical_or.reduce([kind.seen for kind in found]),
            np.logical_or.reduce([kind.rare for kind in found]),
            (self._covered(windows, n, seen), self._covered(windows, n, rare)),
        )
        return [anywhere, *found]

    def _any(self, texts: npt.NDArray[np.int64]) -> Bools:
        flags = np.zeros(self.n, dtype=bool)
        flags[self.owner[texts]] = True
        return flags

    def _covered(self, windows: Windows, n: int, chosen: Bools) -> Array:
        """Return (n,) the share of the words of an example's references in chosen n-grams, NaN without words."""
        ends = np.cumsum(self.lengths)
        starts = ends - self.lengths
        marks = np.zeros(int(ends[-1]) + 1 if len(ends) else 1, dtype=np.int64)
        position = starts[windows.text[chosen]] + windows.start[chosen]
        np.add.at(marks, position, 1)
        np.add.at(marks, position + n, -1)
        sums = np.concatenate([[0], np.cumsum(np.cumsum(marks)[:-1] > 0)])
        words = np.zeros(self.n)
        covered = np.zeros(self.n)
        np.add.at(words, self.owner, self.lengths - self.border)
        np.add.at(covered, self.owner, sums[ends] - sums[starts + self.border])
        with np.errstate(invalid="ignore"):
            return np.where(words > 0, covered / words, np.nan)


def _whole(name: str, counts: Sequence[Sequence[int]]) -> Found:
    return Found(
        name,
        np.array([bool(own) for own in counts], dtype=bool),
        np.array([any(own) for own in counts], dtype=bool),
        np.array([any(0 < count <= COMMON for count in own) for own in counts], dtype=bool),
    )
