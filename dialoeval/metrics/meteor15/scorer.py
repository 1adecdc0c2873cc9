"""The statistics of a batch, computed in threads."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from dialoeval.metrics.meteor15.batch import Batch, prepare
from dialoeval.metrics.meteor15.index import Index
from dialoeval.metrics.meteor15.layout import (
    BEAM_WIDTH,
    COLUMNS,
    NEXT,
    PATH_ROWS,
    TABLE_ROWS,
    Beam,
    Candidates,
    Output,
    Weighting,
)
from dialoeval.metrics.meteor15.options import MODULES, Options

_LOG = logging.getLogger(__name__)
_BATCH = 4096  # replies per batch: the tokens of one batch are in memory
_RANGE = 64  # replies per call of the loop
_FIRST_CAPACITY = 4096  # candidate matches of a pair; grows when needed
_MOST_CANDIDATES = 40_000_000  # 1 GB


class Scorer:
    """One thread's scratch memory, and the loop that scores a range of a batch."""

    def __init__(self, batch: Batch, options: Options, index: Index) -> None:
        self._batch, self._index = batch, index
        self._weighting = Weighting(
            np.array([MODULES.index(module) for module in options.modules], np.int32),
            np.array(options.module_weights),
            np.array(options.all_parameters),
        )
        lengths = np.diff(batch.texts.text_offsets)
        hyp, ref = (int(lengths[texts].max(initial=0)) for texts in (batch.texts.replies, batch.texts.references))
        self._candidates = Candidates(
            table=np.zeros((TABLE_ROWS, _FIRST_CAPACITY), np.int32),
            head=np.zeros(ref, np.int32),
            tail=np.zeros(ref, np.int32),
            hyp_cover=np.zeros(hyp, np.int32),
            ref_cover=np.zeros(ref, np.int32),
            total=np.zeros(1, np.int64),
        )
        self._beam = Beam(
            chosen=np.zeros(ref, np.int32),
            state=np.zeros((PATH_ROWS, BEAM_WIDTH), np.int32),
            survivors=np.zeros((PATH_ROWS, BEAM_WIDTH), np.int32),
            hyp_used=np.zeros((2 * BEAM_WIDTH, (hyp + 63) >> 6), np.uint64),
            ref_used=np.zeros((2 * BEAM_WIDTH, (ref + 63) >> 6), np.uint64),
            order=np.zeros(BEAM_WIDTH, np.int32),
            links=np.zeros((BEAM_WIDTH * ref, 2), np.int32),
        )
        self._output = Output(batch.rows, np.zeros(COLUMNS), np.zeros(2, np.int64))

    def score(self, begin: int, end: int) -> dict[int, int]:
        """Fill in rows `begin` to `end` of the batch.

        Returns:
            {reply: candidate matches with a reference} of replies that have too many; their rows are NaN.
        """
        batch, cursor = self._batch, self._output.cursor
        too_many: dict[int, int] = {}
        cursor[:] = begin, end
        while True:
            self._index.kernels.call(
                "score_replies",
                batch.texts,
                batch.words,
                self._index.phrases,
                self._weighting,
                self._candidates,
                self._beam,
                self._output,
            )
            if cursor[0] >= end:
                return too_many
            needed = int(self._candidates.total[0])
            if needed > _MOST_CANDIDATES:
                too_many[int(cursor[0])] = needed
                batch.rows[cursor[0]] = np.nan
                cursor[0] += 1
                continue
            table = np.zeros((TABLE_ROWS, min(needed + needed // 2, _MOST_CANDIDATES)), np.int32)
            self._candidates = self._candidates._replace(table=table)

    def matches(self) -> NDArray[np.int32]:
        """Return (m, 5): the alignment of the batch's last pair, scored last, in the order of the reference.

        Columns: the rows of `Candidates.table` before NEXT.
        """
        length = len(self._batch.tokens[self._batch.texts.references[-1]])
        chosen = self._beam.chosen[:length]
        return self._candidates.table[:NEXT, chosen[chosen >= 0]].T


def score_replies(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    options: Options,
    index: Index,
    *,
    progress: bool,
    workers: int,
) -> NDArray[np.float64]:
    """Return (n, COLUMNS) statistics. See `evaluation.statistics`."""
    from tqdm import tqdm

    n = len(hypotheses)
    rows = np.zeros((n, COLUMNS))
    threads = workers or _cores()
    with (
        ThreadPoolExecutor(threads) as pool,
        tqdm(total=n, desc="METEOR", unit=" replies", disable=not progress, file=sys.stderr) as bar,
    ):
        for begin in range(0, n, _BATCH):
            end = min(n, begin + _BATCH)
            batch = prepare(hypotheses[begin:end], references[begin:end], options, index)
            for reply, count in sorted(_score_in_threads(pool, threads, batch, options, index).items()):
                beginning = " ".join(batch.tokens[batch.texts.replies[reply]][:8])
                _LOG.warning(
                    "METEOR leaves out reply %d of %d, which begins with %r: %s possible matches with a reference",
                    *(begin + reply + 1, n, beginning, f"{count:,}"),
                )
            rows[begin:end] = batch.rows
            bar.update(end - begin)
    return rows


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _score_in_threads(
    pool: ThreadPoolExecutor, threads: int, batch: Batch, options: Options, index: Index
) -> dict[int, int]:
    """Fill in the rows of a batch; return what `Scorer.score` returns."""
    n = len(batch.rows)
    starts = iter(range(0, n, _RANGE))

    def work() -> dict[int, int]:
        scorer = Scorer(batch, options, index)
        too_many: dict[int, int] = {}
        for begin in starts:  # shared: each range goes to the next free thread
            too_many |= scorer.score(begin, min(n, begin + _RANGE))
        return too_many

    futures = [pool.submit(work) for _ in range(min(threads, -(-n // _RANGE)))]
    return {reply: count for future in futures for reply, count in future.result().items()}
