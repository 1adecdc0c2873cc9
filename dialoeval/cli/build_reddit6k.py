"""`dialoeval build reddit6k`: the 6K multi-reference set from the rows of conversations."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dialoeval.corpus.reddit6k import Built

EPILOG = """  dialoeval build sessions --dumps DIR --months 2018-03..2019-01 --out OUT split=test keys=FILE
  dialoeval build reddit6k --rows OUT/rows.tsv --ids test-multi-refs-ids.txt --out test.scored_refs.txt
  dialoeval run experiment=paper_reddit6k dataset.path=test.scored_refs.txt
The list of ids (and that of keys) is published in DialoGPT's repository, as are the human replies of --human.
"""


def main(arguments: Sequence[str]) -> int:
    """Build the set, and print what became of the list of ids."""
    options = _parser().parse_args(arguments)
    from dialoeval.corpus.reddit6k import build, manifest_file

    built = build(options.rows, options.ids, Path(options.out), options.human, options.drop_without_human)
    counts = built.counts
    print(
        f"{counts.lines_written:,} of {counts.lines:,} lines, {counts.references_written:,} references: {options.out}"
    )
    if counts.human_compared:
        equal, share = counts.human_equal, counts.human_equal / counts.human_compared
        print(f"last column as in {options.human}: {equal:,} of {counts.human_compared:,} lines ({share:.2%})")
    for line in _notes(built, options.drop_without_human):
        print(f"note: {line}", file=sys.stderr)
    print(f"counts and SHA-256: {manifest_file(Path(options.out))}")
    print(f"next: dialoeval run dataset=reddit6k protocol=reddit6k dataset.path={options.out}")
    return 0


def _notes(built: Built, dropped: bool) -> Iterator[str]:
    """Yield a sentence for each fault that occurred, with the first lines of the list that have it."""
    counts = built.counts
    advice = ", and are left out" if dropped else "; --drop-without-human leaves these lines out"
    sentences = {
        "lines_lost": "lines are lost, since the rows do not have their first reference",
        "references_missing": "references are missing in the rows",
        "references_of_another_source": "references have another source than the first of their line, and are left out",
        "lines_without_human": "lines have lost their last reference, the human reply: their last column, which "
        f"dataset=reddit6k takes for it, is another reply{advice}",
        "lines_of_one_reference": "lines have one reference, and so none beside the human reply: dataset.skip_bad=true "
        "skips them",
        "lines_not_by_score": "lines of the list do not have the lowest score last, which is taken for the human reply",
        "lines_of_another_header": "lines of the list do not begin with multiref, and are used all the same",
    }
    for fault, sentence in sentences.items():
        if number := getattr(counts, fault):
            shown = ", ".join(map(str, built.numbers[fault][:5]))
            yield f"{number:,} {sentence} (lines {shown}{', ...' if len(built.numbers[fault]) > 5 else ''} of the list)"
    if counts.repeated_rows:
        yield f"{counts.repeated_rows:,} rows have the keys of an earlier row: the last one counts"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dialoeval build reddit6k",
        description="Make the 6K multi-reference test set (dataset=reddit6k) of the rows of `build sessions` and the "
        "published list of ids.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--rows", required=True, metavar="FILE", help="rows.tsv of build sessions (split=test); may be compressed")
    add("--ids", required=True, metavar="FILE", help="multiref, then score,keys of each reference, by tabs")
    add("--out", required=True, metavar="FILE", help="the set, such as test.scored_refs.txt")
    add("--human", metavar="FILE", help="the published human replies: print how many last columns equal them")
    add("--drop-without-human", action="store_true", help="leave out lines whose human reply is lost")
    return parser
