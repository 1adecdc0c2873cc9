"""From texts to rows of statistics: each different text is tokenized once, each different word described once."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from dialoeval.errors import UserError
from dialoeval.metrics.meteor15.index import Index
from dialoeval.metrics.meteor15.normalizing import SPACES, join_surrogates, normalize
from dialoeval.metrics.meteor15.options import MODULES, Options

COLUMNS = 24
_BEAM = 40
_STATE_ROWS = 8
_TABLE_ROWS = 6
_BATCH = 4096  # replies whose texts are in memory in tokenized form at a time
_PART = 64  # replies a thread takes at a time
_FIRST_CAPACITY = 4096  # candidate matches of a pair; grows when needed
_MOST_CANDIDATES = 40_000_000  # 1 GB


def tokenize(texts: Sequence[str], options: Options, index: Index) -> list[list[str]]:
    """The words of each text, as METEOR sees them."""
    texts = [text if text.isascii() else join_surrogates(text) for text in texts]
    if options.normalize:
        texts = normalize(texts, index.prefixes, punctuation=options.punctuation)
    if options.normalize or options.lowercase:
        texts = [text.lower() for text in texts]
    return [[word for word in SPACES.split(text) if word] for text in texts]


@dataclass
class Batch:
    """Replies and references as numbers: text t is the words ``words[texts[t]:texts[t + 1]]``."""

    replies: np.ndarray  # (n,) int32: number of each reply's text
    references: np.ndarray  # (m,) int32: numbers of all references' texts
    places: np.ndarray  # (n + 1,) int64: reply r's are references[places[r]:places[r + 1]]
    texts: np.ndarray
    words: np.ndarray
    functions: np.ndarray  # (number of words,) uint8: 1 for function words
    known: np.ndarray
    hashes: np.ndarray
    stems: np.ndarray
    ranges: np.ndarray
    masks: np.ndarray
    tokens: list[list[str]]

    def lengths(self, numbers: np.ndarray) -> int:
        """The most words among texts `numbers`."""
        return int(np.diff(self.texts)[numbers].max(initial=0))


def prepare(hypotheses: Sequence[str], references: Sequence[Sequence[str]], options: Options, index: Index) -> Batch:
    """Tokenize and number texts and words, and look the words up."""
    numbers: dict[str, int] = {}
    replies = [numbers.setdefault(text, len(numbers)) for text in hypotheses]
    flat = [numbers.setdefault(text, len(numbers)) for texts in references for text in texts]
    tokens = tokenize(list(numbers), options, index)

    word_numbers: dict[str, int] = {}
    words = [word_numbers.setdefault(word, len(word_numbers)) for text in tokens for word in text]
    vocabulary = list(word_numbers)
    function_words = index.function_words
    count = len(vocabulary)
    batch = Batch(
        replies=np.array(replies, np.int32),
        references=np.array(flat, np.int32),
        places=_places(map(len, references), len(references)),
        texts=_places(map(len, tokens), len(tokens)),
        words=np.array(words, np.int32),
        functions=np.array([word.lower() in function_words for word in vocabulary], np.uint8),
        known=np.zeros(count, np.int32),
        hashes=np.zeros(count, np.uint32),
        stems=np.zeros(count, np.uint32),
        ranges=np.zeros((count, 2), np.int32),
        masks=np.zeros(count, np.uint64),
        tokens=tokens,
    )
    encoded = [word.encode("utf-16-le", "surrogatepass") for word in vocabulary]
    units = np.frombuffer(b"".join(encoded), np.uint16)
    lengths = _places((len(word) // 2 for word in encoded), count)
    if lengths[-1] > np.iinfo(np.int32).max:
        raise UserError("METEOR cannot take more than 2,000 million characters of different words at once")
    scratch = np.zeros((2, int(np.diff(lengths).max(initial=0)) + 16), np.uint16)
    index.kernels.call(
        "describe_words",
        units,
        lengths.astype(np.int32),
        index.slots,
        index.offsets,
        index.letters,
        index.own,
        index.all_sets,
        index.sets,
        batch.known,
        scratch,
        batch.hashes,
        batch.stems,
        batch.ranges,
        batch.masks,
    )
    return batch


def _places(lengths: Iterable[int], count: int) -> np.ndarray:
    """Where each of `count` stretches begins, and where the last one ends."""
    places = np.zeros(count + 1, np.int64)
    np.cumsum(np.fromiter(lengths, np.int64, count), out=places[1:])
    return places


class Scorer:
    """One thread's scratch memory, and the loops that score a stretch of a batch."""

    def __init__(self, batch: Batch, options: Options, index: Index) -> None:
        self._batch, self._index = batch, index
        self._modules = np.array([MODULES.index(module) for module in options.modules], np.int32)
        self._weights = np.array(options.module_weights)
        self._parameters = np.array(options.all_parameters)
        hyp, ref = batch.lengths(batch.replies), batch.lengths(batch.references)
        self._table = np.zeros((_TABLE_ROWS, _FIRST_CAPACITY), np.int32)
        self._chosen, self._head, self._tail, self._ref_cover = (np.zeros(ref, np.int32) for _ in range(4))
        self._hyp_cover = np.zeros(hyp, np.int32)
        self._state = np.zeros((_STATE_ROWS, _BEAM), np.int32)
        self._survivors = np.zeros((_STATE_ROWS, _BEAM), np.int32)
        self._hyp_used = np.zeros((2 * _BEAM, (hyp + 63) >> 6), np.uint64)
        self._ref_used = np.zeros((2 * _BEAM, (ref + 63) >> 6), np.uint64)
        self._order = np.zeros(_BEAM, np.int32)
        self._taken = np.zeros((_BEAM * ref, 2), np.int32)
        self._counts = np.zeros(1, np.int64)
        self._row = np.zeros(COLUMNS)

    def score(self, begin: int, end: int, out: np.ndarray, best: np.ndarray) -> None:
        """Fill rows `begin` to `end` of `out` (n, COLUMNS) and of `best` (n,), the places of the best references."""
        batch, index = self._batch, self._index
        while True:
            begin = index.kernels.call(
                "score_replies",
                begin,
                batch.replies[:end],
                batch.references,
                batch.places,
                batch.texts,
                batch.words,
                batch.hashes,
                batch.stems,
                batch.functions,
                batch.known,
                batch.ranges,
                batch.masks,
                index.sets,
                index.keys,
                index.children,
                index.first,
                index.stream,
                self._modules,
                self._weights,
                self._parameters,
                self._table,
                self._chosen,
                self._head,
                self._tail,
                self._hyp_cover,
                self._ref_cover,
                self._state,
                self._hyp_used,
                self._ref_used,
                self._order,
                self._survivors,
                self._taken,
                self._counts,
                self._row,
                out,
                best,
            )
            if begin >= end:
                return
            needed = int(self._counts[0])
            if needed > _MOST_CANDIDATES:
                raise UserError(
                    f"METEOR finds {needed:,} possible matches between one reply and one of its references, more than"
                    f" memory should hold; the reply begins with {' '.join(batch.tokens[batch.replies[begin]][:8])!r}"
                )
            self._table = np.zeros((_TABLE_ROWS, needed + needed // 2), np.int32)

    def matches(self) -> np.ndarray:
        """(m, 5) int32: the last scored pair's alignment, by place in the reference (rows of `matching.py`)."""
        ref = len(self._batch.tokens[self._batch.references[-1]])
        chosen = self._chosen[:ref]
        return self._table[:5, chosen[chosen >= 0]].T


def statistics(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    options: Options,
    index: Index,
    *,
    progress: bool,
    workers: int,
) -> np.ndarray:
    """(n, COLUMNS): see `dialoeval.metrics.meteor15.statistics`."""
    from tqdm import tqdm

    n = len(hypotheses)
    out = np.zeros((n, COLUMNS))
    best = np.zeros(n, np.int32)
    threads = workers or _cores()
    with (
        ThreadPoolExecutor(threads) as pool,
        tqdm(total=n, desc="METEOR", unit=" replies", disable=not progress, file=sys.stderr) as bar,
    ):
        for begin in range(0, n, _BATCH):
            end = min(n, begin + _BATCH)
            batch = prepare(hypotheses[begin:end], references[begin:end], options, index)
            _score_in_threads(pool, threads, batch, options, index, out[begin:end], best[begin:end])
            bar.update(end - begin)
    return out


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _score_in_threads(
    pool: ThreadPoolExecutor,
    threads: int,
    batch: Batch,
    options: Options,
    index: Index,
    out: np.ndarray,
    best: np.ndarray,
) -> None:
    parts = iter(range(0, len(out), _PART))

    def work() -> None:
        scorer = Scorer(batch, options, index)
        for begin in parts:  # shared: each part goes to the thread that asks first
            scorer.score(begin, min(len(out), begin + _PART), out, best)

    for done in [pool.submit(work) for _ in range(min(threads, -(-len(out) // _PART)))]:
        done.result()
