"""`dialoeval build dstc7`: the DSTC-7 sets from monthly Reddit dumps, by the organisers' lists."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dialoeval.corpus.dstc7_sets import Built

EPILOG = """  dialoeval build dstc7 --dumps DIR --lists data_extraction/lists --out OUT
  dialoeval run dataset=dstc7 protocol=dstc7 dataset.path=OUT
Lists (of the organisers' repository, data_extraction/lists): test.hashes, valid.hashes, test-multiref.sets; if there,
subreddits-official.txt and domains-official.txt (faster), test.2k.txt (the keys of the scored contexts).
"""


def main(arguments: Sequence[str]) -> int:
    """Build the sets, and print how much of the lists was found."""
    options = _parser().parse_args(arguments)
    from dialoeval.corpus.dstc7_sets import build
    from dialoeval.errors import UserError

    if options.score_search < 0:
        raise UserError(f"--score-search {options.score_search}: expected 0 or more")
    built = build(options.dumps, options.lists, Path(options.out), options.months, options.score_search)
    for name, share in (("test", built.test), ("valid", built.valid), ("references", built.references)):
        if share.listed:
            print(f"{name}: {share} found")
    print(f"scored contexts: {built.contexts:,}, with every reference {built.complete:,}")
    for line in _notes(built, options.score_search):
        print(f"note: {line}", file=sys.stderr)
    print(f"written: {options.out} (with manifest.json, and missing.tsv if keys were not found)")
    print(f"next: dialoeval run dataset=dstc7 protocol=dstc7 dataset.path={options.out}")
    return 0


def _notes(built: Built, score_search: int) -> Iterator[str]:
    shares = (built.test, built.valid, built.references)
    if any(share.found < share.listed for share in shares) and not score_search:
        yield (
            "a key holds the score that the organisers' dumps had; dumps made later have others: --score-search 20 "
            "tries those near by"
        )
    if other := sum(counts.get("found_by_another_score", 0) for counts in built.months.values()):
        yield f"{other:,} conversations were found by another score than the dump's"
    if built.titles:
        yield (
            f"{built.titles:,} conversations have no context, since their reply is the title: "
            "dataset.allow_empty_context=true reads them"
        )
    if built.no_conversation:
        yield f"{built.no_conversation:,} contexts are left out: their conversation was not found"
    if built.human_lost:
        yield f"{built.human_lost:,} contexts are left out: their human reply (reference 1) was not found"
    if built.no_reference:
        yield f"{built.no_reference:,} contexts are left out: no reference besides the human reply was found"
    if built.contexts > built.complete:
        yield (
            f"{built.contexts - built.complete:,} contexts lack references, so that figures differ from the organisers'"
            + (f"; in {built.moved:,} of them another one takes the place of the first" if built.moved else "")
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dialoeval build dstc7",
        description="Rebuild the test and validation sets of DSTC-7 Task 2 (dataset=dstc7). The same call goes on "
        "after a kill, month by month.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--dumps", required=True, metavar="DIR", help="RC_YYYY-MM and RS_YYYY-MM, compressed or not")
    add("--lists", required=True, metavar="DIR", help="the organisers' lists")
    add("--out", required=True, metavar="DIR", help="folder to write")
    add("--months", metavar="2017-04[..2017-11]", help="default: 2017-01..2017-11, as far as they are there")
    add("--score-search", type=int, default=0, metavar="N", help="also try scores up to N away from the dump's")
    return parser
