"""`dialoeval export`: a run's figures where people share them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

EPILOG = """examples:
  dialoeval export reports/RUN --model-card README.md       # adds its figures to the card, and keeps all else
  dialoeval export reports/RUN --model-card -               # prints the card
  dialoeval export reports/RUN --eval-results bleu.yaml --dataset-id owner/name --figures bleu4 --task-id test
  dialoeval export reports/RUN --cite bleu4                 # one line with interval, signature and version
"""


def main(arguments: Sequence[str]) -> int:
    """Write a model card, a file of evaluation results, or a citation."""
    parser = argparse.ArgumentParser(
        prog="dialoeval export",
        description="Write figures of complete runs as the `model-index` of a model card, as a file of evaluation "
        "results of the Hub, or as one line to cite.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folders, or parts of their names")
    form = parser.add_mutually_exclusive_group(required=True)
    form.add_argument("--model-card", metavar="FILE", help="a card, changed in place or made; -: print it")
    form.add_argument("--eval-results", metavar="FILE", help="the file to write; -: print it")
    form.add_argument("--cite", metavar="FIGURE", help="print one line with this figure, such as bleu4")
    parser.add_argument("--name", metavar="NAME", help="of the model in the card [the run's own]")
    parser.add_argument("--dataset-id", metavar="OWNER/NAME", help="evaluation results: the benchmark on the Hub")
    parser.add_argument("--task-id", metavar="ID", help="evaluation results: the benchmark's task [the figure's name]")
    parser.add_argument("--figures", metavar="NAME,NAME", help="evaluation results: which [the paper's table]")
    parser.add_argument("--reports-dir", default="reports", metavar="DIR")
    options = parser.parse_args(arguments)
    from dialoeval.errors import UserError
    from dialoeval.files import check_writable
    from dialoeval.reports.share import citation, evaluation_results, model_card
    from dialoeval.runs.folder import find
    from dialoeval.runs.reader import load_run

    for option, owner in (("name", "model_card"), ("dataset_id", "eval_results"), ("task_id", "eval_results")):
        if getattr(options, option) is not None and getattr(options, owner) is None:
            raise UserError(f"--{option.replace('_', '-')} belongs to --{owner.replace('_', '-')}")
    if options.figures is not None and options.eval_results is None:
        raise UserError("--figures belongs to --eval-results")
    if options.eval_results and options.dataset_id is None:
        raise UserError("--eval-results needs --dataset-id OWNER/NAME, the benchmark on the Hub")
    if options.eval_results and len(options.runs) > 1:
        raise UserError("--eval-results takes one run: a benchmark shows one value of a model")
    target = options.model_card or options.eval_results
    if target not in (None, "-"):
        check_writable(target)
    runs = [load_run(find(name, options.reports_dir)) for name in options.runs]
    if options.cite:
        for run in runs:
            print(citation(run, options.cite))
        return 0
    if options.eval_results:
        figures = [name.strip() for name in options.figures.split(",")] if options.figures else []
        text = evaluation_results(runs[0], options.dataset_id, figures, options.task_id)
    else:
        text = model_card(runs, options.name, _card(target))
    return _put(target, text)


def _card(target: str) -> str:
    """Return the text of the card so far."""
    from dialoeval.errors import UserError

    path = Path(target)
    if target == "-" or not path.exists():
        return ""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{target} is not UTF-8 text: {error}") from error


def _put(target: str, text: str) -> int:
    from dialoeval.files import write_text

    if target == "-":
        print(text, end="" if text.endswith("\n") else "\n")
    else:
        write_text(target, text)
        print(f"written: {target}")
    return 0
