"""`dialoeval board`: all runs of a reports folder in one table, or on one page."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dialoeval.cli.output import add_json, print_json, table_text

if TYPE_CHECKING:
    from dialoeval.reports.board import Board

ENDINGS = (".html", ".md", ".csv", ".tex", ".json")
EPILOG = """examples:
  dialoeval board                                           # all runs in reports/, the best NIST-4 first
  dialoeval board --filter model=tiny --filter num_beams=1,10 --sort bleu4
  dialoeval board --columns decoding.top_k,seed,bleu4,meteor --group decoding --each-seed
  dialoeval board --out board.html                          # one page: sort, filter, group; no network
  dialoeval board --columns nist4,bleu4,distinct2 --out table.tex
"""


def main(arguments: Sequence[str]) -> int:
    """Print the board, or write it to files."""
    options = _parser().parse_args(arguments)
    from dialoeval.errors import UserError
    from dialoeval.files import check_writable
    from dialoeval.reports.board import BoardSettings, make_board
    from dialoeval.reports.board_text import to_json

    for out in options.out:
        if Path(out).suffix not in ENDINGS:
            raise UserError(f"--out {out}: the name must end in one of {', '.join(ENDINGS)}")
        check_writable(out)
    names = [name.strip() for text in options.columns for name in text.split(",") if name.strip()]
    settings = BoardSettings(
        columns=tuple(dict.fromkeys(names)),
        sort=options.sort,
        filters=tuple(options.filter),
        group=options.group,
        each_seed=options.each_seed,
        reverse=options.reverse,
    )
    board = make_board(options.folders or ["reports"], settings)
    for out in options.out:
        _write(Path(out), board)
    if options.json:
        print_json(to_json(board))
        return 0
    _print(board)
    for out in options.out:
        print(f"\nwritten: {out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dialoeval board",
        description="All runs of a reports folder in one table: chosen columns, sorted, filtered, grouped. Runs that "
        "differ in their seed alone are one row, with mean and standard deviation. Runs on other data or under another "
        "protocol are in tables of their own. Runs that are not complete are counted and named.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folders", nargs="*", metavar="FOLDER", help="folders of runs [reports]")
    parser.add_argument(
        "--columns",
        action="append",
        default=[],
        metavar="NAME,...",
        help="figures and settings [the paper's nine figures, and all extra metrics]",
    )
    parser.add_argument("--sort", default="", metavar="FIGURE", help="best first; or a setting [nist4]")
    parser.add_argument("--reverse", action="store_true", help="the last row first")
    parser.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="only runs with this setting; several values: VALUE,VALUE; several filters: all must fit",
    )
    parser.add_argument("--group", default="", choices=("model", "decoding"), help="its rows together")
    parser.add_argument("--each-seed", action="store_true", help="a row a run, not one for all seeds")
    parser.add_argument("--out", action="append", default=[], metavar="FILE", help=f"write it: {', '.join(ENDINGS)}")
    add_json(parser)
    return parser


def _write(out: Path, board: Board) -> None:
    from dialoeval.files import write_json, write_text
    from dialoeval.reports import board_text
    from dialoeval.reports.board_page import write_board

    if out.suffix == ".json":
        write_json(out, board_text.to_json(board))
    elif out.suffix == ".html":
        write_board(board, out)
    else:
        form = {".md": board_text.to_markdown, ".csv": board_text.to_csv, ".tex": board_text.to_latex}[out.suffix]
        write_text(out, form(board))


def _print(board: Board) -> None:
    from dialoeval.reports.board_text import section_table

    for section in board.sections:
        print(f"{section.title}\n")
        tables = (section_table(board, section, intervals=intervals) for intervals in (True, False))
        print(table_text(*tables))
    print("\n".join(board.notes()))
