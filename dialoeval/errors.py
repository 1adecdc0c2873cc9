"""What the user can put right, as one exception, and what an error means."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake or a missing thing outside the program: bad input, wrong name, no network, full disk.

    The command line prints its message as one line and exits with code 2, without a traceback. The message says
    what is wrong (file, line, field), and what to do.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the known name closest to `name`, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text that is not blank, or the name of its class if there is none."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def chain(error: BaseException) -> list[BaseException]:
    """Return an error followed by its cause, the cause's cause and so on."""
    links: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and not any(link is earlier for earlier in links):
        links.append(link)
        link = link.__cause__ or link.__context__
    return links


# What torch says on the CPU, on a GPU, and for cuBLAS.
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python or torch could not get memory on CPU or GPU; torch is not imported for it."""
    link: BaseException | None = error
    while link is not None:  # a CUDA capture that runs out of memory may raise another error over the first
        if isinstance(link, MemoryError) or type(link).__name__ == "OutOfMemoryError":
            return True
        if isinstance(link, RuntimeError) and any(sign in str(link) for sign in _OUT_OF_MEMORY):
            return True
        link = link.__context__
    return False
