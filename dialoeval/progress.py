"""Progress of long work: a bar on a terminal, a plain line now and then elsewhere. Always on stderr."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

LINE_SECONDS = 30.0  # between two lines of a log


@contextlib.contextmanager
def progress(what: str, total: int, done: int = 0) -> Iterator[Callable[[], None]]:
    """Show how far work of `total` units is, with its rate and the time left; call what is yielded after each unit.

    Args:
        what: what is counted, as a plural ("replies").
        done: units that were there at the start; they count as done, but not for the rate.
    """
    if sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(total=total, initial=done, unit=f" {what}", desc=what, leave=False) as bar:

            def advance() -> None:
                bar.update()

            yield advance
        return
    count, started = 0, time.monotonic()
    last = started

    def step() -> None:
        nonlocal count, last
        count += 1
        now = time.monotonic()
        if now - last >= LINE_SECONDS:
            rate = count / (now - started)
            left = (total - done - count) / rate / 60
            print(f"{what}: {done + count} of {total}, {rate:.2f}/s, {left:.1f} min left", file=sys.stderr, flush=True)
            last = now

    yield step
