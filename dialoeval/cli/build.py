"""`dialoeval build`: data sets from raw dumps, one module a sub-verb."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from importlib.util import find_spec

from dialoeval.errors import UserError, nearest

# sub-verb -> what it does; its module is dialoeval.cli.build_NAME
SUB_VERBS = {
    "sessions": "conversations from monthly Reddit dumps: the paper's training and test data",
    "reddit6k": "the 6K multi-reference test set, from the rows of build sessions",
    "dstc7": "the DSTC7 sets, by the organisers' lists",
}


def usage() -> str:
    """Return what ``dialoeval build --help`` prints."""
    width = max(map(len, SUB_VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {what}" for verb, what in SUB_VERBS.items())
    return (
        f"dialoeval build: data sets from raw dumps\n\nusage: dialoeval build SUB-VERB [arguments]\n\n{verbs}\n\n"
        "`dialoeval build SUB-VERB --help` describes one.\n"
    )


def main(arguments: Sequence[str]) -> int:
    """Run one sub-verb."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage(), end="")
        return 0
    verb, *rest = arguments
    module = f"dialoeval.cli.build_{verb}"
    if verb not in SUB_VERBS or find_spec(module) is None:
        raise UserError(f"unknown: build {verb!r}{nearest(verb, SUB_VERBS)} (`dialoeval build --help` lists them)")
    code: int = importlib.import_module(module).main(rest)
    return code
