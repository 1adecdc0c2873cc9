"""`dialoeval check`: what a test set gives away, and what of it stands in training data."""

from __future__ import annotations

import argparse
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dialoeval.cli.output import add_output, print_json, quietly

if TYPE_CHECKING:
    from dialoeval.config import ProtocolConfig
    from dialoeval.data.example import Dataset
    from dialoeval.runs.reader import LoadedRun

_LOG = logging.getLogger(__name__)
EPILOG = """  dialoeval check dataset=dailydialog_multiref dataset.path=multireftest.json
  dialoeval check --train chitchat-train --data chitchat dataset.limit=1000
  dialoeval check --train dialogpt_tsv:train.tsv --run reports/tiny-greedy-chitchat-0123456789ab
A dataset is an option of conf/dataset/, a file, or OPTION:FILE. dataset.KEY=VALUE are further settings of the test
data, train.KEY=VALUE those of the training data; protocol=NAME tells which reference is held out as the human reply.
"""


def main(arguments: Sequence[str]) -> int:
    """Check a test set, write check.json and report.md, print the report."""
    options = _parser().parse_intermixed_args(list(arguments))
    with quietly(options.quiet):
        return _check(options)


def _check(options: argparse.Namespace) -> int:
    from dialoeval.data.contamination import contamination
    from dialoeval.data.leaks import leaks, without_held_out
    from dialoeval.data.training_text import training_text
    from dialoeval.errors import UserError
    from dialoeval.files import check_writable, write_json, write_text
    from dialoeval.reports.data_checks import DataCheck, check_same_examples, clean_figures, not_clean

    settings, train_settings = _settings(options.settings)
    if options.train is None and (options.run or train_settings):
        raise UserError("--run and train.KEY=VALUE are for --train DATASET|FILE: there is no training data to look in")
    run = _run(options)
    dataset, protocol = _test_data(options.data, settings, run)
    try:
        training = None if options.train is None else training_text(options.train, train_settings)
    except UserError as error:
        raise UserError(re.sub(r"(?<![\w./])dataset\.(?=\w)", "train.", str(error))) from error
    if run is not None:
        check_same_examples(run, dataset.examples)
    out = Path(
        options.out or Path(options.reports_dir) / "checks" / _folder(dataset, options.train, train_settings, run)
    )
    files = [out / "check.json", out / "report.md"]
    for file in files:
        check_writable(file)
    examples, humans = without_held_out(dataset.examples, protocol)
    overlap = None
    if training is not None:
        _LOG.info("looking %d examples up in %s, which is read once", len(examples), training.name)
        overlap = contamination(dataset.examples, training)
    check = DataCheck(
        dataset.name,
        dataset.fingerprint,
        len(examples),
        leaks(examples, humans),
        training,
        overlap,
        () if overlap is None else not_clean(examples, overlap),
        None if run is None else run.name,
        () if run is None or overlap is None else clean_figures(run, overlap.clean),
    )
    write_json(files[0], check.to_json())
    write_text(files[1], check.to_markdown())
    if options.json:
        print_json(check.to_json())
        return 0
    print(check.to_markdown(), end="")
    print(f"\nwritten: {', '.join(map(str, files))}")
    return 0


def _settings(given: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the settings of the test data and those of the training data, as settings of ``dataset``.

    Raises:
        UserError: an argument is no setting.
    """
    from dialoeval.errors import UserError

    mine, training = [], []
    for text in given:
        if text.startswith("train."):
            training.append("dataset." + text.removeprefix("train."))
        elif re.match(r"(dataset|protocol)(\.[\w.]+)?=", text):
            mine.append(text)
        else:
            raise UserError(
                f"{text!r} is no setting of the data: dataset=NAME, dataset.KEY=VALUE, train.KEY=VALUE or "
                "protocol=NAME (a file is named by --data FILE)"
            )
    return mine, training


def _run(options: argparse.Namespace) -> LoadedRun | None:
    from dialoeval.runs.folder import find
    from dialoeval.runs.reader import load_run

    return None if options.run is None else load_run(find(options.run, options.reports_dir))


def _test_data(name: str | None, settings: Sequence[str], run: LoadedRun | None) -> tuple[Dataset, ProtocolConfig]:
    """Return the test data with its protocol; those of a run, if no data is named.

    Raises:
        UserError: no data is named, or it is named twice, or it cannot be read.
    """
    from dataclasses import replace

    from dialoeval import data
    from dialoeval.config.compose import compose
    from dialoeval.data.example import Dataset, Example
    from dialoeval.data.training_text import dataset_overrides
    from dialoeval.errors import UserError

    named = any(text.startswith("dataset=") for text in settings)
    if name is not None and named:
        raise UserError("the test data is named twice, by --data and by dataset=")
    if name is None and not named:
        if run is None:
            raise UserError("name the test data: --data DATASET|FILE, dataset=NAME, or --run RUN")
        if settings:
            raise UserError(f"{settings[0]}: settings are for --data, and the examples are those of the run")
        turns = zip(run.ids, run.contexts, run.references, strict=True)
        examples = tuple(Example(key, tuple(c), tuple(own), human=run.human.get(key)) for key, c, own in turns)
        name = str(run.settings.dataset.get("name", run.name))
        return Dataset(name, examples, run.dataset), run.scores.protocol
    chosen = [] if name is None else dataset_overrides(name)
    config = compose("config", [*chosen, *settings])
    dataset = data.load(replace(config.dataset, allow_empty_context=True))
    if name is not None and config.dataset.name == "file":
        dataset = replace(dataset, name=Path(name).name)
    return dataset, config.protocol


def _folder(dataset: Dataset, train: str | None, train_settings: Sequence[str], run: LoadedRun | None) -> str:
    """Return the name of the folder: of the data, and a hash of what was named."""
    from dialoeval.files import sha256_json

    names = [dataset.name, *([] if train is None else ["against", Path(train).name])]
    told = [dataset.fingerprint, train, list(train_settings), None if run is None else run.name]
    return re.sub(r"[^\w.-]+", "_", "-".join(names)) + f"-{sha256_json(told)[:12]}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dialoeval check",
        description="Check test data: duplicates, empty references, the human reply among the references; with --train "
        "what of it stands in training data, and with --run the figures of a run on the clean examples.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("settings", nargs="*", metavar="key=value", help="dataset=NAME, and further settings")
    parser.add_argument("--data", metavar="DATASET|FILE", help="the test data")
    parser.add_argument("--train", metavar="DATASET|FILE", help="the training data, which may be large")
    parser.add_argument("--run", metavar="RUN", help="a run on the test data")
    parser.add_argument("--out", metavar="DIR", help="folder of check.json and report.md [reports/checks/NAME]")
    parser.add_argument("--reports-dir", default="reports", metavar="DIR")
    add_output(parser)
    return parser
