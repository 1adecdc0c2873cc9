"""Several processes for work in order: results come in the order of the items, few at a time, in little memory."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from dialoeval.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")
_AHEAD = 3  # items for each process that are under way or wait for their turn


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers:
    """Processes, or this process itself where one is asked for."""

    def __init__(self, pool: ProcessPoolExecutor | None, number: int) -> None:
        self.pool, self.number = pool, number

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield the function's result of each item, in order.

        Raises:
            UserError: a process was killed.
        """
        if self.pool is None:
            yield from map(function, items)
            return
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(self.pool.submit(function, item))
                if len(waiting) >= _AHEAD * self.number:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            message = "a worker was killed, for lack of memory perhaps: the same call goes on; fewer workers need less"
            raise UserError(message) from error


@contextmanager
def open_workers(number: int) -> Iterator[Workers]:
    """Start processes; they end with the block, and when this process is killed."""
    if number == 1:
        yield Workers(None, 1)
        return
    # Forks start at once and need no importable main module; on macOS forks of a process with threads may crash.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    pool = ProcessPoolExecutor(number, mp_context=context, initializer=_begin)
    try:
        yield Workers(pool, number)
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Leave Ctrl-C to the parent, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
