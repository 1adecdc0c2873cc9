"""Threads that nobody has to wait for: Ctrl-C ends a program whatever they wait for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def results(work: Callable[[_Item], _Result], items: Sequence[_Item], count: int, patience: float) -> Iterator[_Result]:
    """Yield the results of `work` on all items by `count` threads, as soon as they come.

    After an `Exception` of `work`, which is raised here, threads finish the item that they work on. After Ctrl-C, or
    if the caller stops, nothing waits for them.

    Args:
        work: called by several threads; must fail fast once it has failed.
        items: taken in order.
        count: of threads.
        patience: seconds to wait for unfinished items after an exception.
    """
    left = iter(items)
    taking = threading.Lock()
    done: SimpleQueue[tuple[list[_Result], BaseException | None]] = SimpleQueue()

    def run() -> None:
        while True:
            with taking:
                item = next(left, done)
            if item is done:
                return
            try:
                done.put(([work(item)], None))  # type: ignore[arg-type]
            except BaseException as error:
                done.put(([], error))
                return

    threads = [threading.Thread(target=run, daemon=True) for _ in range(min(count, len(items)))]
    for thread in threads:
        thread.start()
    for _ in items:
        result, error = done.get()
        if error is not None:
            until = time.monotonic() + patience
            for thread in threads:
                thread.join(max(0.0, until - time.monotonic()))
            raise error
        yield from result
