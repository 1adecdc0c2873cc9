"""Progress of long work on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

LINE_SECONDS = 30.0  # between two plain lines
_quiet = False


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Show no progress within it."""
    global _quiet
    before, _quiet = _quiet, True
    try:
        yield
    finally:
        _quiet = before


def shows_bars() -> bool:
    """Return whether progress is a bar: stderr is a terminal, and nobody asked for silence."""
    return not _quiet and sys.stderr is not None and sys.stderr.isatty()


@contextlib.contextmanager
def progress(what: str, total: int, done: int = 0) -> Iterator[Callable[[], None]]:
    """Show progress, rate and time left. Yields a function to call after each unit.

    Args:
        what: unit in the plural ("replies").
        total: number of units.
        done: number of units finished before the start; they do not count for the rate.
    """
    if _quiet or sys.stderr is None:
        yield lambda: None
        return
    if shows_bars():
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
            line = f"{what}: {done + count} of {total}, {rate:.2f}/s, {left:.1f} min left\n"
            sys.stderr.write(line)
            sys.stderr.flush()
            last = now

    yield step
