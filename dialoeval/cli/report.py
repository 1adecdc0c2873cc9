"""`dialoeval report`: one self-contained HTML file of runs, sweeps or a whole folder of runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str]) -> int:
    """Write the page, and its main table as Markdown, CSV and LaTeX beside it."""
    parser = argparse.ArgumentParser(
        prog="dialoeval report",
        description="One HTML file of runs: scores with intervals, plots, searchable replies, settings. It opens from "
        "the disk and needs no network. The main table is written beside it as .md, .csv and .tex.",
    )
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN|SWEEP|FOLDER",
        help="names in the reports folder, or folders; of a folder of runs, all complete ones",
    )
    parser.add_argument("--out", default="report.html", metavar="FILE.html")
    parser.add_argument("--title", metavar="TEXT")
    parser.add_argument(
        "--baseline",
        metavar="RUN",
        help="the run that the others are tested against, by a part of its name; none: no tests [the first]",
    )
    parser.add_argument("--judgments", metavar="STUDY", help="a judged study of these runs: a column a question")
    parser.add_argument("--reports-dir", default="reports", metavar="DIR")
    parser.add_argument(
        "--floor",
        nargs="*",
        metavar="KEY=VALUE",
        help="add the constant, random and human baselines on the same data (docs/baselines.md); the settings are of "
        "the random one: model.baseline.dataset=OPTION, model.baseline.settings.path=FILE",
    )
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
        if sweep is not None:
            folders += sweep
        elif _holds_runs(Path(name)):
            folders += _complete(Path(name))
        else:
            folders.append(find(name, options.reports_dir).path)
    if options.floor is not None:
        from dialoeval.runs.floor import floor
        from dialoeval.runs.folder import RunFolder

        rows = floor([RunFolder(folder) for folder in folders], options.floor)
        folders += rows.runs
        for remark in rows.remarks:
            print(f"note: {remark}", file=sys.stderr)
    write_html(
        list(dict.fromkeys(folders)),
        options.out,
        options.title,
        baseline=options.baseline,
        judgments=options.judgments,
    )
    print(f"report: {options.out}")
    return 0


def _holds_runs(folder: Path) -> bool:
    """Return whether a folder is no run, but has runs in it."""
    from dialoeval.runs.frame import list_runs

    return folder.is_dir() and not (folder / "manifest.json").is_file() and bool(list_runs(folder))


def _complete(folder: Path) -> list[Path]:
    """Return the complete runs of a folder, and say on stderr which others it holds.

    Raises:
        UserError: none is complete.
    """
    from dialoeval.errors import UserError
    from dialoeval.runs.frame import left_out_text, scored_runs

    runs, others = scored_runs(folder)
    lines = left_out_text(others)
    if not runs:
        raise UserError(f"{folder}: no run is complete and scored ({'; '.join(lines)})")
    for line in lines:
        print(f"left out of the report: {line}", file=sys.stderr)
    return [run.path for run in runs]
