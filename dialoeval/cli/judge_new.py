"""`dialoeval judge new`: a study from complete runs."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dialoeval.judging.new import Options
    from dialoeval.runs.reader import LoadedRun

EPILOG = """  dialoeval judge new reports/tiny-beam-chitchat-* reports/tiny-greedy-chitchat-*
  dialoeval judge new beam=RUN greedy=RUN --human --against human --contexts 300 --name beam-greedy-human
A run is a folder's path, or a part of a name in the reports folder that only one run has; NAME=RUN names the system.
"""


def main(arguments: Sequence[str]) -> int:
    """Make a study folder and say what it is."""
    options = _parser().parse_args(arguments)
    from dialoeval.errors import UserError
    from dialoeval.judging.new import describe, make_study

    runs = _runs(options.runs, options.reports_dir)
    if options.name is not None and (not options.name.strip() or "\0" in options.name):
        raise UserError("--name must not be empty")
    studies = Path(options.studies_dir)
    folder = None if options.name is None else studies / options.name
    study = make_study(runs, _options(options), folder, studies)
    for line in describe(study):
        print(line)
    print(f"written: {study.path}/ (study.yaml can be changed until the first judge)")
    print(f"next: dialoeval judge serve {study.path}")
    return 0


def _runs(names: Sequence[str], reports_dir: str) -> dict[str, LoadedRun]:
    """Read the runs; names are those given, or model and decoding."""
    from dialoeval.errors import UserError
    from dialoeval.runs.folder import find
    from dialoeval.runs.reader import load_run, short_names

    given: list[str | None] = []
    loaded = []
    for text in names:
        match = re.match(r"([\w .+-]+)=(.+)", text)
        named = match is not None and not Path(text).exists()
        given.append(match[1].strip() if match and named else None)
        loaded.append(load_run(find(match[2] if match and named else text, reports_dir)))
    runs: dict[str, LoadedRun] = {}
    for name, short, run in zip(given, short_names(loaded), loaded, strict=True):
        key = name or short
        if key in runs:
            if runs[key].path.resolve() == run.path.resolve():
                raise UserError(f"the run {run.name} is named twice")
            raise UserError(f"two runs have the name {key!r}: name them apart, NAME=RUN")
        runs[key] = run
    return runs


def _options(options: argparse.Namespace) -> Options:
    from dialoeval.judging.design import Display, Gold, GoldRule, Identical
    from dialoeval.judging.judgments import StudyKind
    from dialoeval.judging.new import Options

    gold = Gold() if options.gold else Gold(share=0, first=0)
    return Options(
        kind=StudyKind(options.kind),
        human=options.human is not None,
        human_index=None if options.human in (None, -1) else options.human,
        human_scored=options.human_scored,
        against=options.against,
        contexts=options.contexts,
        judges_per_item=options.judges_per_item,
        seed=options.seed,
        title=options.title,
        identical=Identical(options.identical),
        display=Display(options.display),
        gold=Gold(gold.share, gold.first, gold.passing, GoldRule(options.gold_rule)),
        repeats=0.03 if options.repeats else 0,
        comment=options.comment,
    )


def _index(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dialoeval judge new",
        description="Make a study from complete runs on the same examples: what judges see, and nothing that tells "
        "them which system they read.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="complete runs; NAME=RUN names a system")
    add("--kind", default="pairwise", choices=("pairwise", "likert"), help="compare two replies, or rate each alone")
    add("--human", nargs="?", type=_index, const=-1, metavar="INDEX",
        help="the human reply is a system too: reference INDEX, from 0 (default: the one held out)")  # fmt: skip
    add("--human-scored", action="store_true", help="accept a human reply that the runs are scored against")
    add("--against", metavar="SYSTEM", help="compare each system with this one only (default: every pair)")
    add("--contexts", type=int, metavar="N", help="how many (default: 200, or all); 500 contain the 200")
    add("--judges-per-item", type=int, default=3, metavar="K")
    add("--name", help="of the study's folder (default: from a hash of the design)")
    add("--title", help="that judges see; must not tell what is compared")
    add("--seed", type=int, default=12345, metavar="N", help="of the sample, the sides and the order")
    add("--identical", default="tie", choices=("tie", "show", "drop"), help="pairs of equal replies")
    add("--display", default="as_is", choices=("as_is", "uncased", "detokenized"), help="of all texts")
    add("--gold", default=True, action=argparse.BooleanOptionalAction, help="items with a known answer")
    add("--gold-rule", default="flag", choices=("flag", "exclude"), help="for judges who fail them")
    add("--repeats", default=True, action=argparse.BooleanOptionalAction, help="some items again, sides swapped")
    add("--comment", action="store_true", help="a box for comments")
    add("--studies-dir", default="studies", metavar="DIR")
    add("--reports-dir", default="reports", metavar="DIR", help="folder in which names of runs are searched")
    return parser
