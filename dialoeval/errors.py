"""The exception for mistakes that the user can correct, and helpers that describe errors."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake or fault outside of the program: bad input, a wrong name, no network, a full disk.

    The message is one line that says what is wrong (file, line, field) and what to do. The command line prints it
    without a traceback and exits with code 2.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the known name closest to `name`, or an empty string if none is close."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text that is not blank, or its class name if the text is blank."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def chain(error: BaseException) -> list[BaseException]:
    """Return an error, its cause, the cause of that, and so on."""
    links: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and not any(link is earlier for earlier in links):
        links.append(link)
        link = link.__cause__ or link.__context__
    return links


# Fragments of torch's messages on the CPU, on a GPU, and from cuBLAS.
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether Python or torch ran out of CPU or GPU memory. Does not import torch."""
    link: BaseException | None = error
    while link is not None:  # a failed CUDA graph capture may hide the error behind another
        if isinstance(link, MemoryError) or type(link).__name__ == "OutOfMemoryError":
            return True
        if isinstance(link, RuntimeError) and any(sign in str(link) for sign in _OUT_OF_MEMORY):
            return True
        link = link.__context__
    return False
