"""`dialoeval import`: replies of other toolkits become runs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from dialoeval.cli.output import add_output, print_json, quietly, scores_text
from dialoeval.cli.score import add_reading, reading

EPILOG = """Files are read as by `dialoeval score`. The run has the order of the references; to compare it with a run of
dialoeval, give that run's own files:

  dialoeval import --replies other.jsonl --references reports/RUN/references.jsonl --contexts reports/RUN/replies.jsonl
"""


def main(arguments: Sequence[str]) -> int:
    """Write and score the run of each system; print its folder and its figures."""
    options = _parser().parse_args(arguments)
    with quietly(options.quiet):
        return _import(options)


def _import(options: argparse.Namespace) -> int:
    from dialoeval.cli.input_warnings import print_counts, print_warnings
    from dialoeval.config import ScoringConfig
    from dialoeval.config.compose import group
    from dialoeval.data.scoring_files import UnmatchedIds
    from dialoeval.errors import UserError
    from dialoeval.runs.importer import ImportSettings, import_replies

    protocol = group("protocol", options.protocol)
    extra = [name for name in (options.extra or "").split(",") if name]
    settings = ImportSettings(
        protocol,
        ScoringConfig(meteor=not options.no_meteor, extra=extra),
        reading(options, protocol),
        options.name,
        options.dataset,
        options.reports_dir,
    )
    try:
        runs = import_replies(options.replies, options.references, options.contexts, settings)
    except UnmatchedIds as error:
        raise UserError(f"{error}; --skip-bad leaves them out") from error
    named = [(folder.settings().name, scores) for folder, scores in runs]
    print_warnings(named)
    if options.json:
        folders = [{"run": str(f.path), "name": f.settings().name, "scores": scores.to_json()} for f, scores in runs]
        print_json({"runs": folders})
        return 0
    print(scores_text(named))
    for name, scores in named:
        print_counts(name, scores)
    for folder, _ in runs:
        print(f"run: {folder.path}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dialoeval import",
        description="Make complete run folders of replies from elsewhere.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--replies", nargs="+", required=True, metavar="FILE", help="replies, one file a system")
    parser.add_argument("--references", nargs="+", required=True, metavar="FILE", help="references")
    parser.add_argument(
        "--contexts", metavar="FILE", help="the turns before each reply: a field context, or text lines"
    )
    parser.add_argument("--name", metavar="NAME", help="name of the system (default: that in the file, or of the file)")
    parser.add_argument("--dataset", metavar="NAME", help="name of the data (default: that of the references' file)")
    parser.add_argument("--protocol", default="none", metavar="NAME", help="dstc7, reddit6k or none (default)")
    parser.add_argument("--extra", metavar="NAME,...", help="other metrics: see `dialoeval list metrics`")
    parser.add_argument("--no-meteor", action="store_true", help="leave METEOR out")
    parser.add_argument("--reports-dir", default="reports", metavar="DIR")
    add_reading(parser)
    add_output(parser)
    return parser
