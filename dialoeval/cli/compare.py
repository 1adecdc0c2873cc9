"""`dialoeval compare`: paired tests of runs on the same data, and why they differ."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Compare each run with the first one."""
    parser = argparse.ArgumentParser(
        prog="dialoeval compare",
        description="Compare runs with the first: paired bootstrap and approximate randomization on every figure, "
        "corrected p-values, and the replies, lengths and n-grams behind the differences.",
    )
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="a run folder, or part of its name in the reports folder"
    )
    parser.add_argument("--reports-dir", default="reports", metavar="DIR")
    parser.add_argument("--resamples", type=int, default=1000, metavar="N", help="of the paired bootstrap")
    parser.add_argument("--trials", type=int, default=1000, metavar="N", help="of approximate randomization")
    parser.add_argument("--seed", type=int, default=12345, metavar="N")
    parser.add_argument("--correction", default="holm", choices=("holm", "bh", "none"))
    parser.add_argument("--out", metavar="FILE", help="write it too: .md or .json")
    options = parser.parse_args(arguments)
    from dialoeval.errors import UserError
    from dialoeval.files import write_json, write_text
    from dialoeval.reports.compare import compare, load_run
    from dialoeval.reports.compare_text import to_json, to_markdown
    from dialoeval.runs.folder import find

    if options.resamples < 1 or options.trials < 1:
        raise UserError("--resamples and --trials must be at least 1")
    runs = [load_run(find(name, options.reports_dir)) for name in options.runs]
    comparisons = compare(
        runs, resamples=options.resamples, trials=options.trials, seed=options.seed, correction=options.correction
    )
    text = to_markdown(comparisons, options.correction)
    if options.out:
        if options.out.endswith(".json"):
            write_json(options.out, to_json(comparisons, options.correction))
        elif options.out.endswith(".md"):
            write_text(options.out, text)
        else:
            raise UserError(f"--out {options.out}: the name must end in .md or .json")
    print(text)
    return 0
