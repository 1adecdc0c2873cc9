"""`dialoeval build`: data sets from raw dumps, one module a sub-verb."""

from __future__ import annotations

from collections.abc import Sequence

from dialoeval.cli import sub_verbs

# sub-verb -> what it does; its module is dialoeval.cli.build_NAME
SUB_VERBS = {
    "sessions": "conversations from monthly Reddit dumps: the paper's training and test data",
    "reddit6k": "the 6K multi-reference test set, from the rows of build sessions",
    "dstc7": "the DSTC7 sets, by the organisers' lists",
}


def main(arguments: Sequence[str]) -> int:
    """Run one sub-verb."""
    return sub_verbs.run("build", "data sets from raw dumps", SUB_VERBS, arguments)
