"""The one exception that means "the user can put this right"."""

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
