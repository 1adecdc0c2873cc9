"""`dialoeval report`: one self-contained HTML file of runs or sweeps."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str]) -> int:
    """Write the page, and its main table as Markdown, CSV and LaTeX beside it."""
    parser = argparse.ArgumentParser(
        prog="dialoeval report",
        description="One HTML file of runs: scores with intervals, plots, searchable replies, settings. It opens from "
        "the disk and needs no network. The main table is written beside it as .md, .csv and .tex.",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN|SWEEP", help="folders, or names in the reports folder")
    parser.add_argument("--out", default="report.html", metavar="FILE.html")
    parser.add_argument("--title", metavar="TEXT")
    parser.add_argument(
        "--baseline",
        metavar="RUN",
        help="the run that the others are tested against, by a part of its name; none: no tests [the first]",
    )
    parser.add_argument("--judgments", metavar="STUDY", help="a judged study of these runs: a column a question")
    parser.add_argument("--reports-dir", default="reports", metavar="DIR")
    options = parser.parse_args(arguments)
    from dialoeval.errors import UserError
    from dialoeval.reports import write_html
    from dialoeval.runs.folder import find
    from dialoeval.runs.sweep import read_sweep

    if not options.out.endswith(".html"):
        raise UserError(f"--out {options.out}: the name must end in .html")
    folders: list[Path] = []
    for name in options.runs:
        named = (Path(name), Path(options.reports_dir) / "sweeps" / name)
        sweep = next((runs for folder in named if (runs := read_sweep(folder)) is not None), None)
        folders += sweep if sweep is not None else [find(name, options.reports_dir).path]
    write_html(
        list(dict.fromkeys(folders)),
        options.out,
        options.title,
        baseline=options.baseline,
        judgments=options.judgments,
    )
    print(f"report: {options.out}")
    return 0
