"""`dialoeval score`: the paper's metrics on replies from anywhere."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dialoeval.metrics.scores import Scores

EPILOG = """hypotheses: JSON lines {"id", "reply"} (a run's replies.jsonl too; with "system", several systems in one
file), or plain text, one reply a line. references: JSON lines {"id", "references": [...]}, tab-separated text (.tsv:
id, then the references), or parallel text files, one reference a line each. Where both sides have ids, these are
matched; otherwise lines are.

  dialoeval score --hypotheses replies.jsonl --references refs.jsonl --out scores.json
  dialoeval score --hypotheses a.txt b.txt --references ref0.txt ref1.txt --segments segments.parquet
"""


def main(arguments: Sequence[str]) -> int:
    """Score one or several systems; print a table, and write JSON and segment scores if asked."""
    options = _parser().parse_args(arguments)
    from dialoeval.config import ScoringConfig
    from dialoeval.config.compose import group
    from dialoeval.data import scoring_files
    from dialoeval.errors import UserError
    from dialoeval.files import sha256_file
    from dialoeval.metrics.scores import score_statistics
    from dialoeval.metrics.system_statistics import checked_metrics, statistics

    names = [name for name in (options.extra or "").split(",") if name]
    _check_outputs(options)
    scoring = ScoringConfig(meteor=not options.no_meteor, extra=names, resamples=options.resamples)
    checked_metrics(scoring.meteor, names)
    protocol = group("protocol", options.protocol)
    references, skipped = scoring_files.read_references(options.references, options.skip_bad)
    systems = scoring_files.read_hypotheses(options.hypotheses, options.skip_bad)
    results: dict[str, Scores] = {}
    rows: list[dict[str, Any]] = []
    left_out: dict[str, list[str]] = {}
    for name, system in systems.items():
        try:
            texts = scoring_files.match(system.replies, references, options.skip_bad)
        except scoring_files.UnmatchedIds as error:
            raise UserError(f"{error}; --skip-bad leaves them out") from error
        stats = statistics(
            texts.replies,
            texts.references,
            protocol,
            meteor=scoring.meteor,
            extra=names,
            contexts=texts.contexts,
            progress=True,
        )
        scores = score_statistics(stats, scoring).with_counts(
            replies_left_out=texts.without_entry,
            references_without_reply=texts.without_reply,
            skipped_lines=system.skipped + skipped,
        )
        results[name] = replace(scores, replies_sha256=sha256_file(system.path))
        left_out[name] = [texts.ids[i] for i in stats.left_out("meteor")]
        if options.segments:
            rows += [{"system": name, **row} for row in stats.segments(texts.ids).rows()]
    try:
        _print(results, left_out)
    finally:  # a reader that goes away (`| head -1`) stops no file, and a file that cannot be written no table
        _write(options, results, rows)
    return 0


def _resamples(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def _segments_file(text: str) -> str:
    if Path(text).suffix not in (".jsonl", ".parquet"):
        raise argparse.ArgumentTypeError(f"{text}: the name must end in .jsonl or .parquet")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dialoeval score",
        description="Score replies from anywhere with NIST, BLEU, METEOR, entropy, distinct-n and length.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--hypotheses", nargs="+", required=True, metavar="FILE", help="replies, one file a system")
    parser.add_argument("--references", nargs="+", required=True, metavar="FILE", help="references")
    parser.add_argument("--protocol", default="none", metavar="NAME", help="dstc7, reddit6k or none (default)")
    parser.add_argument("--out", metavar="FILE.json", help="write the scores as JSON")
    parser.add_argument(
        "--segments", type=_segments_file, metavar="FILE", help="write the scores of each reply (.jsonl or .parquet)"
    )
    parser.add_argument("--extra", metavar="NAME,...", help="other metrics: see `dialoeval list metrics`")
    parser.add_argument("--no-meteor", action="store_true", help="leave METEOR out")
    parser.add_argument(
        "--resamples", type=_resamples, default=1000, metavar="N", help="bootstrap resamples; 0: no intervals"
    )
    parser.add_argument(
        "--skip-bad",
        action="store_true",
        help="skip, and count, malformed lines and ids that have a reply or references only",
    )
    return parser


def _check_outputs(options: argparse.Namespace) -> None:
    """Check, before anything is computed, that the outputs can be written, and are not the inputs.

    Raises:
        UserError: an output cannot be written, or would replace an input or another output.
    """
    from dialoeval.errors import UserError
    from dialoeval.files import check_writable

    taken = {Path(file).resolve(): file for file in (*options.hypotheses, *options.references)}
    for flag, file in (("--out", options.out), ("--segments", options.segments)):
        if not file:
            continue
        if Path(file).resolve() in taken:
            raise UserError(f"{flag} {file} would replace {taken[Path(file).resolve()]}: give another name")
        taken[Path(file).resolve()] = f"what {flag} writes"
        check_writable(file)


def _write(options: argparse.Namespace, results: dict[str, Scores], rows: list[dict[str, Any]]) -> None:
    """Write the files asked for; one that fails does not stop the other.

    Raises:
        UserError: a file cannot be written.
    """
    from dialoeval.errors import UserError
    from dialoeval.files import write_json

    problems = []
    try:
        if options.out:
            systems = {name: scores.to_json() for name, scores in results.items()}
            write_json(options.out, systems.popitem()[1] if len(systems) == 1 else {"schema": 1, "systems": systems})
    except UserError as error:
        problems.append(str(error))
    try:
        if options.segments:
            several = len(results) > 1
            _write_segments(
                options.segments, [{k: x for k, x in row.items() if several or k != "system"} for row in rows]
            )
    except UserError as error:
        problems.append(str(error))
    if problems:
        raise UserError("; ".join(problems))


def _write_segments(path: str, rows: list[dict[str, Any]]) -> None:
    from dialoeval.files import atomic_open, write_jsonl

    if Path(path).suffix == ".jsonl":
        write_jsonl(path, rows)
        return
    import pyarrow
    from pyarrow import parquet

    # Parquet holds UTF-8, which has no lone surrogates
    texts = ("system", "id")
    rows = [
        row | {k: row[k].encode("utf-8", "backslashreplace").decode("utf-8") for k in texts if k in row} for row in rows
    ]
    with atomic_open(path, "wb") as stream:
        parquet.write_table(pyarrow.Table.from_pylist(rows), stream)


def _print(results: dict[str, Scores], left_out: dict[str, list[str]]) -> None:
    """Print the table, and what was odd; `left_out` has the ids of replies without METEOR of each system."""
    from dialoeval.metrics.score_tables import score_table

    order = sorted(results, key=lambda name: results[name].get("nist4") or 0.0, reverse=True)
    print(score_table([(name, results[name]) for name in order], intervals=True).to_markdown(), end="")
    first = results[order[0]]
    print(f"\nsignature: {first.signature}")
    for name in order:
        odd = {key: value for key, value in results[name].counts.items() if value}
        if odd:
            print(f"{name}: " + ", ".join(f"{value} {key.replace('_', ' ')}" for key, value in odd.items()))
        for remark in results[name].remarks():
            print(f"{name}: {remark}")
        if left_out[name]:
            print(f"{name}: without METEOR: {', '.join(left_out[name][:10])}")
        for metric, result in results[name].extra.items():
            print(f"{name}: {metric} = {result.score}  ({result.signature})")
    sys.stdout.flush()
