"""`dialoeval compare`: paired tests of runs on the same data, and why they differ."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dialoeval.cli.output import add_output, print_json, quietly

if TYPE_CHECKING:
    from dialoeval.reports.compare import Comparison, ComparisonSettings

EPILOG = """  dialoeval compare RUN_A RUN_B --out comparison.html
  dialoeval compare reports/tiny-greedy-* reports/tiny-beam-* --metric nist4,bleu4 --correction bh
A run is a folder's path, or a part of a name in the reports folder that only one run has.
"""


def main(arguments: Sequence[str]) -> int:
    """Compare each run with the first one, or every pair."""
    options = _parser().parse_args(arguments)
    with quietly(options.quiet):
        return _compare(options)


def _compare(options: argparse.Namespace) -> int:
    from dialoeval.progress import shows_bars
    from dialoeval.reports.compare import ComparisonSettings, compare
    from dialoeval.reports.compare_text import to_json, to_markdown
    from dialoeval.runs.folder import find
    from dialoeval.runs.reader import load_run

    names = [name.strip() for text in options.metric for name in text.split(",") if name.strip()]
    settings = ComparisonSettings(
        metrics=tuple(dict.fromkeys(names)),
        resamples=options.resamples,
        trials=options.trials,
        seed=options.seed,
        correction=options.correction,
        all_pairs=options.all_pairs,
    )
    _check_out(options.out)
    runs = [load_run(find(name, options.reports_dir)) for name in options.runs]
    comparisons = compare(runs, settings, progress=shows_bars())
    text = to_markdown(comparisons, settings)
    for file in _files(options.out):
        _write(file, text, comparisons, settings)
    if options.json:
        print_json(to_json(comparisons, settings))
        return 0
    print(text, end="")
    for file in _files(options.out):
        print(f"written: {file}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dialoeval compare",
        description="Compare runs with the first: paired bootstrap and approximate randomization on every figure, "
        "corrected p-values, and the replies, lengths and n-grams behind the differences.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="the first is A, the baseline")
    parser.add_argument("--all-pairs", action="store_true", help="compare every pair, not only with the first")
    parser.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME,...",
        help="default: the paper's nine, and the runs' extra metrics",
    )
    parser.add_argument("--resamples", type=int, default=1000, metavar="N", help="of the paired bootstrap")
    parser.add_argument("--trials", type=int, default=1000, metavar="N", help="of approximate randomization")
    parser.add_argument("--seed", type=int, default=12345, metavar="N")
    parser.add_argument(
        "--correction", default="holm", choices=("holm", "bh", "none"), help="of p-values over all tests"
    )
    parser.add_argument("--out", metavar="FILE|FOLDER", help="write it too: .md, .json or .html; all three in a folder")
    parser.add_argument(
        "--reports-dir", default="reports", metavar="DIR", help="folder in which names of runs are searched"
    )
    add_output(parser)
    return parser


def _check_out(out: str | None) -> None:
    from dialoeval.errors import UserError

    if out and Path(out).suffix and Path(out).suffix not in (".md", ".json", ".html"):
        raise UserError(f"--out {out}: the name must end in .md, .json or .html, or be a folder's")


def _files(out: str | None) -> list[Path]:
    if not out:
        return []
    path = Path(out)
    if path.suffix and not path.is_dir():
        return [path]
    return [path / f"comparison{end}" for end in (".md", ".json", ".html")]


def _write(file: Path, text: str, comparisons: list[Comparison], settings: ComparisonSettings) -> None:
    from dialoeval.files import write_json, write_text
    from dialoeval.reports.compare_text import to_json
    from dialoeval.reports.html import write_comparison

    if file.suffix == ".json":
        write_json(file, to_json(comparisons, settings))
    elif file.suffix == ".html":
        write_comparison(comparisons, settings, file)
    else:
        write_text(file, text)
