"""How often 95% intervals hold the figure they are for: `python benchmarks/coverage.py --texts FILE --dstc7 FOLDER`.

Samples of `--size` replies are drawn from a population (with replacement if it has fewer than 20 times as many), and
each gets the intervals of `dialoeval score`. FILE has one reply a line: the population for entropy, distinct-n and
length. FOLDER has the replies.jsonl and references.jsonl of DSTC-7 task 2. NIST, BLEU and METEOR are measured on the
replies of all its systems together, without those of "Human", some of which equal a reference; and on each system.

What an interval should hold is the figure of the population. Entropy, distinct-n and NIST depend on the number of
replies (NIST by its information weights), and their target is the mean over samples of that size. Prints a Markdown
table.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dialoeval.metrics.base import Rows
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.figures import FIGURES, PAPER_TABLE
from dialoeval.metrics.protocol import Texts
from dialoeval.metrics.scores import protocol_named
from dialoeval.metrics.system_statistics import Statistics, statistics
from dialoeval.stats import bootstrap_intervals

SIZE_DEPENDENT = ("entropy", "distinct", "nist")
OVERLAP = ("nist", "bleu", "meteor")


@dataclass(frozen=True)
class Coverage:
    """How the intervals of a figure did.

    Attributes:
        target: what they should hold.
        below: share of intervals that lie below it.
        above: share of intervals that lie above it.
        low: mean lower bound.
        high: mean upper bound.
    """

    target: float
    below: float
    above: float
    low: float
    high: float


def main() -> int:
    options = _options()
    size, samples = options.size, options.samples
    shown = list(FIGURES) if options.all else [figure.name for figure in PAPER_TABLE]
    print("| population | figure | target | mean interval | held | below | above |\n|---|---|--:|--:|--:|--:|--:|")
    for population, whole in populations(options):
        found = coverage(whole, size, samples, options.resamples, options.seed)
        for name in [name for name in shown if name in found]:
            row, cell = found[name], FIGURES[name].cell
            values = (cell(row.target).figure, f"[{cell(row.low).figure}, {cell(row.high).figure}]")
            shares = (f"{100 * share:.1f}%" for share in (1 - row.below - row.above, row.below, row.above))
            print("|", " | ".join((population, FIGURES[name].heading, *values, *shares)), "|", flush=True)
    print(f"\n{samples} samples of {size} replies, {options.resamples} resamples each, seed {options.seed}.")
    return 0


def coverage(whole: Statistics, size: int, samples: int, resamples: int, seed: int) -> dict[str, Coverage]:
    """Return {figure: how often its interval of a sample holds the target}."""
    rng = np.random.default_rng(seed)
    figures: list[dict[str, float]] = []
    intervals: list[dict[str, tuple[float, float]]] = []
    for i in range(samples):
        sample = subset(whole, rng.choice(len(whole), size, replace=len(whole) < 20 * size))
        figures.append({name: float(values[0]) for name, values in sample.figures().items()})
        intervals.append(bootstrap_intervals(sample, resamples, seed + i))
    result = {}
    for name, values in whole.figures().items():
        depends = name.startswith(SIZE_DEPENDENT)
        target = float(np.mean([row[name] for row in figures])) if depends else float(values[0])
        low, high = np.array([row[name] for row in intervals]).T
        result[name] = Coverage(target, (high < target).mean(), (low > target).mean(), low.mean(), high.mean())
    return result


def subset(whole: Statistics, chosen: np.ndarray) -> Statistics:
    """Return the statistics of some replies. Rows are taken over, except NIST's: its weights are the sample's."""
    c = whole.corpus
    texts = Texts([c.texts.hypotheses[i] for i in chosen], [c.texts.references[i] for i in chosen])
    part = Corpus([c.hypotheses[i] for i in chosen], [c.references[i] for i in chosen], None, texts, c.protocol)
    parts = {}
    for metric in whole.metrics:
        rows = whole.parts[metric.name]
        taken = isinstance(rows, Rows) and metric.name != "nist"
        parts[metric.name] = (
            replace(rows, rows=rows.rows[chosen], judged=rows.judged[chosen]) if taken else metric.statistics(part)
        )
    return Statistics(part, whole.metrics, parts)


def populations(options: argparse.Namespace) -> Iterator[tuple[str, Statistics]]:
    """Yield names and statistics of the populations, with only the figures that are measured on them."""
    if options.texts:
        lines = Path(options.texts).read_text("utf-8").split("\n")[:-1]
        yield f"{len(lines)} texts", _only(statistics(lines, [[] for _ in lines], meteor=False), overlap=False)
    if options.dstc7:
        folder = Path(options.dstc7)
        references = {row["id"]: row["references"] for row in _jsonl(folder / "references.jsonl")}
        systems: dict[str, list[tuple[str, list[str]]]] = {}
        for row in _jsonl(folder / "replies.jsonl"):
            systems.setdefault(row["system"], []).append((row["reply"], references[row["id"]]))
        pooled = [pair for name, pairs in systems.items() if name != "Human" for pair in pairs]
        for name, pairs in {"systems, pooled": pooled, **systems}.items():
            whole = statistics(*map(list, zip(*pairs, strict=True)), protocol_named("dstc7"))
            yield f"{len(pairs)} replies: {name}", _only(whole, overlap=True)


def _only(whole: Statistics, *, overlap: bool) -> Statistics:
    chosen = tuple(metric for metric in whole.metrics if (metric.name in OVERLAP) == overlap)
    return Statistics(whole.corpus, chosen, {metric.name: whole.parts[metric.name] for metric in chosen})


def _jsonl(path: Path) -> Iterator[dict]:
    with open(path, encoding="utf-8") as stream:
        yield from map(json.loads, stream)


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", metavar="FILE", help="replies, one a line")
    parser.add_argument("--dstc7", metavar="FOLDER", help="release of DSTC-7 task 2: replies.jsonl, references.jsonl")
    parser.add_argument("--size", type=int, default=200, metavar="N", help="replies in a sample (200)")
    parser.add_argument("--samples", type=int, default=600, metavar="N", help="(600)")
    parser.add_argument("--resamples", type=int, default=1000, metavar="N", help="for each interval (1000)")
    parser.add_argument("--seed", type=int, default=12345, metavar="N")
    parser.add_argument("--all", action="store_true", help="every order, not only the figures of the paper's tables")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
