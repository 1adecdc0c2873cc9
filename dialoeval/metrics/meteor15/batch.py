"""Batches of texts as numbers: each different text is tokenized once, each different word described once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialoeval.errors import UserError
from dialoeval.metrics.meteor15.index import Index
from dialoeval.metrics.meteor15.layout import COLUMNS, Scratch, Spelling, Texts, Words
from dialoeval.metrics.meteor15.normalizer import SPACES, join_surrogates, normalize
from dialoeval.metrics.meteor15.options import Options


@dataclass(frozen=True)
class Batch:
    """Replies and references as numbers, the tokens of each different text, and the array for the statistics.

    Attributes:
        rows: (replies, COLUMNS) zeros, which `scorer.Scorer` fills in.
    """

    texts: Texts
    words: Words
    tokens: list[list[str]]
    rows: NDArray[np.float64]


def tokenize(texts: Sequence[str], options: Options, index: Index) -> list[list[str]]:
    """Return the words of each text, as METEOR sees them."""
    texts = [text if text.isascii() else join_surrogates(text) for text in texts]
    if options.normalize:
        texts = normalize(texts, index.prefixes, punctuation=options.punctuation)
    if options.normalize or options.lowercase:
        texts = [text.lower() for text in texts]
    return [[word for word in SPACES.split(text) if word] for text in texts]


def prepare(hypotheses: Sequence[str], references: Sequence[Sequence[str]], options: Options, index: Index) -> Batch:
    """Tokenize and number texts and words, and look the words up.

    Raises:
        UserError: the different words are too long together.
    """
    text_numbers: dict[str, int] = {}
    replies = [text_numbers.setdefault(text, len(text_numbers)) for text in hypotheses]
    flat = [text_numbers.setdefault(text, len(text_numbers)) for texts in references for text in texts]
    tokens = tokenize(list(text_numbers), options, index)

    word_numbers: dict[str, int] = {}
    words = [word_numbers.setdefault(word, len(word_numbers)) for text in tokens for word in text]
    texts = Texts(
        replies=np.array(replies, np.int32),
        references=np.array(flat, np.int32),
        reference_offsets=_offsets(map(len, references), len(references)),
        text_offsets=_offsets(map(len, tokens), len(tokens)),
        words=np.array(words, np.int32),
    )
    return Batch(texts, _describe(list(word_numbers), index), tokens, np.zeros((len(replies), COLUMNS)))


def _describe(vocabulary: list[str], index: Index) -> Words:
    """Return the properties of each word that the matchers use."""
    count = len(vocabulary)
    encoded = [word.encode("utf-16-le", "surrogatepass") for word in vocabulary]
    offsets = _offsets((len(word) // 2 for word in encoded), count)
    if offsets[-1] > np.iinfo(np.int32).max:
        raise UserError("METEOR cannot score more than 2,000 million characters of different words at once")
    spelling = Spelling(np.frombuffer(b"".join(encoded), np.uint16), offsets.astype(np.int32))
    words = Words(
        functions=np.array([word.lower() in index.function_words for word in vocabulary], np.uint8),
        known=np.zeros(count, np.int32),
        hashes=np.zeros(count, np.uint32),
        stems=np.zeros(count, np.uint32),
        ranges=np.zeros((count, 2), np.int32),
        masks=np.zeros(count, np.uint64),
        sets=index.synonyms.sets,
    )
    scratch = Scratch.for_words(spelling.offsets)
    index.kernels.call("describe_words", spelling, index.vocabulary, index.synonyms, words, scratch)
    return words


def _offsets(lengths: Iterable[int], count: int) -> NDArray[np.int64]:
    """Return (count + 1,): the start of each of `count` ranges, and the end of the last one."""
    offsets = np.zeros(count + 1, np.int64)
    np.cumsum(np.fromiter(lengths, np.int64, count), out=offsets[1:])
    return offsets
