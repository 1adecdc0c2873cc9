"""Time of the report on a large study: `python benchmarks/judging.py [--items 2000] [--judges 3]`.

Judges flip coins: 2,000 items of three pairs of systems, three judges an item out of 40, three questions, 10,000
resamples. One core: numpy runs on one thread.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

PAIRS = (("a", "b"), ("a", "human"), ("b", "human"))
POOL = 40


def main() -> None:
    """Make the judgments, read and analyse them, write the report, print the times."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--judges", type=int, default=3)
    parser.add_argument("--resamples", type=int, default=10_000)
    options = parser.parse_args()
    from dialoeval.judging.analysis import analyse
    from dialoeval.judging.estimates import Settings
    from dialoeval.judging.imported import read_judgments_file
    from dialoeval.reports.judgments_page import write_judgments
    from dialoeval.reports.judgments_text import to_markdown

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "judgments.csv"
        _write(file, options.items, options.judges)
        times = {"start": time.perf_counter()}
        judgments = read_judgments_file(str(file))
        times["read"] = time.perf_counter()
        analysis = analyse(judgments, Settings(options.resamples))
        times["analyse"] = time.perf_counter()
        to_markdown(analysis)
        write_judgments(analysis, Path(folder) / "report.html")
        times["write"] = time.perf_counter()
    marks = list(times.items())
    for (_, before), (name, after) in itertools.pairwise(marks):
        print(f"{name:8} {after - before:6.2f} s")
    print(f"{'all':8} {marks[-1][1] - marks[0][1]:6.2f} s for {len(judgments.rows):,} answers")


def _write(file: Path, items: int, judges: int) -> None:
    rng = random.Random(1)
    lines = ["judge,context,first,second,relevance,informativeness,human-like"]
    for item in range(items):
        first, second = PAIRS[item % len(PAIRS)]
        for judge in rng.sample(range(POOL), judges):
            values = ",".join(str(rng.choice((1, 0, -1))) for _ in range(3))
            lines.append(f"j{judge},c{item},{first},{second},{values}")
    file.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
