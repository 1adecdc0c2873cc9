"""`dialoeval score`: the paper's metrics on replies from anywhere."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dialoeval.cli.input_warnings import print_counts, print_warnings
from dialoeval.cli.output import add_output, print_json, quietly, scores_text
from dialoeval.progress import shows_bars

if TYPE_CHECKING:
    from dialoeval.config import ProtocolConfig
    from dialoeval.data.scoring_files import Reading
    from dialoeval.metrics.scores import Scores
    from dialoeval.metrics.system_statistics import Statistics

EPILOG = """The content of a file tells its format, whatever its name: JSON lines {"id", "reply"} (a run's replies.jsonl
too; with "system", several systems in one file) and {"id", "references": [...]}, JSON arrays and objects, CSV and TSV
(id, then the references, or with a line of column names), Parquet, plain text (one reply or reference a line; several
files of references are parallel), the paper's own files, sample logs of lm-evaluation-harness, OpenAI's batch output,
ParlAI's world logs; compressed, through a pipe, or - for standard input. Other fields: --map. Where both sides have
ids, these are matched; otherwise lines are.

  dialoeval score --hypotheses replies.jsonl --references refs.jsonl --out scores.json
  dialoeval score --hypotheses a.txt b.txt --references ref0.txt ref1.txt --segments segments.parquet
  dialoeval score --hypotheses out.jsonl --references gold.csv --map reply=output.text,id=key,references=gold
"""


def main(arguments: Sequence[str]) -> int:
    """Score one or several systems; print a table, and write JSON and segment scores if asked."""
    options = _parser().parse_args(arguments)
    with quietly(options.quiet):
        return _score(options)


def _score(options: argparse.Namespace) -> int:
    from dialoeval.config import ScoringConfig
    from dialoeval.config.compose import group
    from dialoeval.data import scoring_files
    from dialoeval.errors import UserError
    from dialoeval.metrics.sample_means import mean_scores
    from dialoeval.metrics.scores import score_statistics
    from dialoeval.metrics.system_statistics import checked_metrics, statistics

    names = [name for name in (options.extra or "").split(",") if name]
    _check_outputs(options)
    scoring = ScoringConfig(meteor=not options.no_meteor, extra=names, resamples=options.resamples)
    checked_metrics(scoring.meteor, names)
    protocol = group("protocol", options.protocol)
    files = scoring_files.read(options.hypotheses, options.references, reading(options, protocol))
    outcome = _Outcome()
    for name, system in files.systems.items():
        samples = []
        for number, replies in enumerate(system.samples, 1):
            try:
                texts = scoring_files.match(replies, files.references, options.skip_bad, system.skipped + files.skipped)
            except scoring_files.UnmatchedIds as error:
                raise UserError(f"{error}; --skip-bad leaves them out") from error
            stats = statistics(
                texts.replies,
                texts.references,
                protocol,
                meteor=scoring.meteor,
                extra=names,
                contexts=texts.contexts,
                progress=shows_bars(),
            )
            scores = score_statistics(stats, scoring).with_counts(
                replies_left_out=texts.without_entry,
                references_without_reply=texts.without_reply,
                skipped_lines=system.skipped + files.skipped,
                **files.counts,
            )
            samples.append(replace(scores, replies_sha256=system.sha256))
            outcome.add_replies(name, number if len(system.samples) > 1 else None, texts.ids, stats)
        outcome.results[name] = mean_scores(samples)
    try:
        if options.json:
            print_warnings(outcome.results.items())
            print_json(_as_json(outcome.results))
        else:
            _print(outcome.results, outcome.left_out)
    finally:  # a reader that goes away (`| head -1`) stops no file, and a file that cannot be written no table
        _write(options, outcome.results, outcome.rows)
    return 0


@dataclass
class _Outcome:
    """What was scored.

    Attributes:
        results: {system: scores}.
        rows: the scores of each reply.
        left_out: {system: ids of the replies without METEOR}.
    """

    results: dict[str, Scores] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)

    def add_replies(self, name: str, sample: int | None, ids: list[str], stats: Statistics) -> None:
        """Add the scores of the single replies of a system, of one of its samples if it has several."""
        self.left_out.setdefault(name, []).extend(ids[i] for i in stats.left_out("meteor"))
        keys = {"system": name} if sample is None else {"system": name, "sample": sample}
        self.rows += [{**keys, **row} for row in stats.segments(ids).rows()]


def reading(options: argparse.Namespace, protocol: ProtocolConfig) -> Reading:
    """Return how files are read, as the options of `add_reading` say."""
    from dialoeval.data.scoring_fields import FieldMap
    from dialoeval.data.scoring_files import Reading, Samples

    return Reading(
        fields=FieldMap.parse(options.map) if options.map else FieldMap(),
        skip_bad=options.skip_bad,
        samples=Samples(options.samples),
        keep_empty=options.keep_empty_references,
        positional=bool(protocol.slots) or protocol.held_out is not None,
    )


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
    add_reading(parser)
    add_output(parser)
    return parser


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how files of replies and references are read."""
    parser.add_argument(
        "--skip-bad",
        action="store_true",
        help="skip, and count, malformed lines and ids that have a reply or references only",
    )
    parser.add_argument(
        "--map",
        metavar="FIELD=PLACE,...",
        help="where reply, id, references and context are: keys, or positions from 0",
    )
    parser.add_argument(
        "--samples",
        choices=("refuse", "mean", "systems"),
        default="refuse",
        help="several replies an id: a mistake (default), samples whose figures are averaged, or one system a sample",
    )
    parser.add_argument(
        "--keep-empty-references",
        action="store_true",
        help="a blank line, an empty cell or an empty string is a reference, not its absence",
    )


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
            write_json(options.out, _as_json(results))
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


def _as_json(results: dict[str, Scores]) -> dict[str, Any]:
    systems = {name: scores.to_json() for name, scores in results.items()}
    return systems.popitem()[1] if len(systems) == 1 else {"schema": 1, "systems": systems}


def _write_segments(path: str, rows: list[dict[str, Any]]) -> None:
    from dialoeval.files import atomic_open, write_jsonl

    if Path(path).suffix == ".jsonl":
        write_jsonl(path, rows)
        return
    import pyarrow
    from pyarrow import parquet

    # Parquet holds UTF-8, without the lone surrogates that stand for odd bytes in a file's name
    texts = ("system", "id")
    rows = [
        row | {k: row[k].encode("utf-8", "backslashreplace").decode("utf-8") for k in texts if k in row} for row in rows
    ]
    with atomic_open(path, "wb") as stream:
        parquet.write_table(pyarrow.Table.from_pylist(rows), stream)


def _print(results: dict[str, Scores], left_out: dict[str, list[str]]) -> None:
    """Print the table, and what was odd; `left_out` has the ids of replies without METEOR of each system."""
    order = sorted(results, key=lambda name: results[name].get("nist4") or 0.0, reverse=True)
    print(scores_text([(name, results[name]) for name in order]), end="")
    print_warnings([(name, results[name]) for name in order])
    first = results[order[0]]
    print(f"\nsignature: {first.signature}")
    for name in order:
        print_counts(name, results[name])
        if left_out[name]:
            print(f"{name}: without METEOR: {', '.join(left_out[name][:10])}")
        for metric, result in results[name].extra.items():
            print(f"{name}: {metric} = {result.score}  ({result.signature})")
    sys.stdout.flush()
