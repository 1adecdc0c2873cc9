"""`dialoeval judge correlate`: which metric agrees with people."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

EPILOG = """  dialoeval judge correlate studies/beam-against-greedy --runs reports/tiny-greedy-* reports/tiny-beam-*
  dialoeval judge correlate --from human_judgments.tsv --scores segments.jsonl
  dialoeval judge correlate --from human_judgments.tsv --scores systems.json --name "Baseline (random)=Random"
A file of segments is what `dialoeval score --segments` writes: fields system and id, a field for each metric, and the
reply or its length. A file of systems is one JSON object: {"systems": {NAME: {METRIC: FIGURE}}}.
"""


def main(arguments: Sequence[str]) -> int:
    """Hold metrics against the judgments of people and print the correlations."""
    options = _parser().parse_args(arguments)
    from dialoeval.cli.judge_report import read
    from dialoeval.errors import UserError, nearest
    from dialoeval.files import check_writable, dumps, write_json, write_text
    from dialoeval.judging.correlate import correlations
    from dialoeval.judging.estimates import Settings
    from dialoeval.judging.metric_scores import LENGTH, Judged, MetricScores, add_file, add_run, parse_names
    from dialoeval.judging.pools import parse_pools, pooled
    from dialoeval.judging.sources import judged_replies, run_folders
    from dialoeval.reports.correlations_text import to_markdown

    if not options.runs and not options.scores and options.study is None:
        raise UserError(
            "give the metrics: --runs RUN ..., or --scores FILE ... (`dialoeval score --segments` writes them)"
        )
    judgments = read(options)
    judgments = pooled(judgments, parse_pools(options.pool, judgments.systems))
    if options.resamples < 0:
        raise UserError(f"--resamples {options.resamples}: must not be negative")
    human = options.human
    if human is not None and human not in judgments.systems:
        raise UserError(
            f"--human {human}: no such system{nearest(human, judgments.systems)} ({', '.join(judgments.systems)})"
        )
    files = [Path(options.out) / name for name in ("correlations.json", "correlations.md")] if options.out else []
    for file in files:
        check_writable(file)
    scores = MetricScores()
    names = parse_names(options.name, judgments.systems)
    folders = run_folders(options.study) if options.study else {}
    runs = options.runs
    replies = judged_replies(options.study) if options.study else {}
    judged = Judged(judgments.systems, {row.context for row in judgments.rows}, folders, replies)
    if options.study:
        scores.segments[LENGTH] = {key: float(len(text.split())) for key, text in replies.items()}
        if not runs and not options.scores:
            runs = [f"{system}={folder}" for system, folder in folders.items()]
    for run in runs:
        add_run(scores, run, judged)
    for file_name in options.scores:
        add_file(scores, file_name, judgments.systems, names)
    found = correlations(judgments, scores, Settings(options.resamples, options.seed), human)
    text = to_markdown(found)
    if files:
        write_json(files[0], found.to_json())
        write_text(files[1], text)
    print(dumps(found.to_json(), indent=2) + "\n" if options.json else text, end="")
    if files and not options.json:
        print(f"\nwritten: {', '.join(map(str, files))}")
    return 0


def _parser() -> argparse.ArgumentParser:
    from dialoeval.cli.judge_report import add_source

    parser = argparse.ArgumentParser(
        prog="dialoeval judge correlate",
        description="Correlate metrics with people: over systems and over single replies, with intervals over other "
        "contexts, tests between metrics, and the ceiling that the agreement of judges sets.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_source(parser)
    parser.add_argument(
        "--runs", nargs="+", default=[], metavar="RUN", help="runs of the systems, or SYSTEM=RUN [STUDY's]"
    )
    parser.add_argument("--scores", nargs="+", default=[], metavar="FILE", help="scores of segments or of systems")
    parser.add_argument("--name", action="append", default=[], metavar="NAME=SYSTEM", help="a system's name in FILE")
    parser.add_argument("--human", metavar="SYSTEM", help="the human reply, also left out [the system named human]")
    parser.add_argument("--out", metavar="DIR", help="write correlations.json and correlations.md there")
    parser.add_argument("--json", action="store_true", help="print correlations.json instead of tables")
    return parser
