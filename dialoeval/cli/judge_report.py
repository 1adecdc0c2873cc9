"""`dialoeval judge report`: what judgments say, with tests and intervals that can be believed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dialoeval.judging.judgments import Judgments

EPILOG = """  dialoeval judge report studies/beam-against-greedy
  dialoeval judge report --from human_judgments.tsv --pool "TeamCE+TeamEC=Team C/E" --out reports/dstc7-human
  dialoeval judge report --from ratings.csv --map judge=worker,context=dialogue,system=bot,fluency=q1 --points 1-7
A table has a row for each judgment, with a column for each question (wide), or columns `question` and `value` (long).
Pairs have columns `first` and `second`, and values first, same, second; a, tie, b; 1, 0, -1; or a system's name.
Numbers of any other kind must be named: --values 0=first,1=second, or a scale, --points 1-5 (below 3: the first).
"""


def main(arguments: Sequence[str]) -> int:
    """Analyse judgments, write analysis.json, report.md and report.html, print the table."""
    options = _parser().parse_args(arguments)
    from dialoeval.errors import UserError
    from dialoeval.files import check_writable, dumps, write_json, write_text
    from dialoeval.judging.analysis import analyse
    from dialoeval.judging.estimates import Settings
    from dialoeval.judging.pools import parse_pools, pooled
    from dialoeval.reports.judgments_page import write_judgments
    from dialoeval.reports.judgments_text import headlines, meta, to_markdown

    judgments = read(options)
    judgments = pooled(judgments, parse_pools(options.pool, judgments.systems))
    if options.resamples < 0:
        raise UserError(f"--resamples {options.resamples}: must not be negative")
    out = options.out or options.study
    files = [Path(out) / name for name in ("analysis.json", "report.md", "report.html")] if out else []
    for file in files:
        check_writable(file)
    analysis = analyse(judgments, Settings(options.resamples, options.seed, options.anchor))
    if files:
        write_json(files[0], analysis.to_json())
        write_text(files[1], to_markdown(analysis))
        write_judgments(analysis, files[2])
    if options.json:
        print(dumps(analysis.to_json(), indent=2))
        return 0
    print(meta(analysis))
    for part in headlines(analysis):
        if analysis.models:
            print(f"\n{part.heading}")
        for table in part.tables:
            print(f"\n{table.to_markdown()}", end="")
        for line in part.lines:
            print(f"\n{line}")
    for note in judgments.notes:
        print(f"\nNote: {note}.")
    if files:
        print(f"\nwritten: {', '.join(map(str, files))}")
    else:
        print("\n--out DIR writes the whole report: preferences, strengths, agreement, judges")
    return 0


def read(options: argparse.Namespace) -> Judgments:
    """Return the judgments that the options of `add_source` name.

    Raises:
        UserError: both or neither of a study and a file are named, or the judgments cannot be read.
    """
    from dialoeval.errors import UserError
    from dialoeval.judging.imported import settings_of
    from dialoeval.judging.sources import read_source

    if (options.study is None) == (options.file is None):
        raise UserError("give a study folder, or --from FILE with judgments from elsewhere")
    if options.study is not None and (
        options.map or options.kind or options.points or options.values or options.skip_empty
    ):
        raise UserError("--map, --kind, --points, --values and --skip-empty are for --from FILE: a study knows its own")
    settings = settings_of(options.map, options.kind, options.points, options.values, skip_empty=options.skip_empty)
    return read_source(options.study if options.study is not None else options.file, settings)


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add the options that name judgments."""
    parser.add_argument("study", nargs="?", metavar="STUDY", help="the folder of a study")
    parser.add_argument(
        "--from", dest="file", metavar="FILE", help="judgments from elsewhere: CSV, TSV, JSONL, Parquet"
    )
    parser.add_argument("--map", metavar="FIELD=COLUMN,...", help="columns of FILE; other names are questions")
    parser.add_argument("--kind", choices=("pairwise", "likert"), help="of FILE [told by its columns]")
    parser.add_argument(
        "--points",
        metavar="LOW-HIGH",
        help="scale of FILE: of ratings [1-5]; of pairs, whose lower half prefers the first",
    )
    parser.add_argument(
        "--values",
        metavar="VALUE=MEANING,...",
        help="of FILE: 0=first,1=second,2=same, or 1..3=first; names or positions: what a name that is a word is",
    )
    parser.add_argument("--skip-empty", action="store_true", help="leave empty answers of FILE out and count them")
    parser.add_argument(
        "--pool", action="append", default=[], metavar="A+B=NAME", help="rate systems as one, context by context"
    )
    parser.add_argument("--resamples", type=int, default=10_000, metavar="N", help="of contexts [10000]")
    parser.add_argument("--seed", type=int, default=12345, metavar="N")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dialoeval judge report",
        description="Report on the judgments of a study or of a file: win, tie, loss or mean ratings, exact tests over "
        "items, intervals over other contexts and other judges, strengths, agreement, judges. Models as judges are "
        "reported apart.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_source(parser)
    parser.add_argument("--anchor", metavar="SYSTEM", help="whose strength is 0 [the first]")
    parser.add_argument("--out", metavar="DIR", help="write analysis.json, report.md, report.html there [STUDY]")
    parser.add_argument("--json", action="store_true", help="print analysis.json instead of the table")
    return parser
