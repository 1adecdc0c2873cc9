"""`dialoeval reproduce mini`: the paper from dump to table, small enough for a laptop.

It calls the commands that a user with real dumps and weights calls, and prints each of them first.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dialoeval.tables import Table

TRAINING_MONTH, TEST_MONTH = "2011-01", "2018-03"  # within the paper's spans
IDS, TEST = "test-multi-refs-ids.txt", "test.refs.txt"
LEARNT = ("baseline-random", "baseline-bm25")  # which need training data
# Row of the paper's table -> the run that makes it: model, decoding.
ROWS = {
    "Human": ("baseline-human", None),
    "DialoGPT (mini)": ("mini", "greedy"),
    "DialoGPT (mini, beam)": ("mini", "beam"),
    "DialoGPT (mini, MMI)": ("mini", "mmi"),
    "Constant": ("baseline-constant", None),
    "Random": ("baseline-random", None),
    "BM25": ("baseline-bm25", None),
}


@dataclass(frozen=True)
class Size:
    """How much of everything.

    Attributes:
        talks: conversations of the training month.
        contexts: threads of the test month.
        steps: of training each model.
    """

    talks: int = 4000
    contexts: int = 200
    steps: int = 300


@dataclass(frozen=True)
class Step:
    """A command of dialoeval, and what it is for."""

    why: str
    command: tuple[str, ...]

    def shown(self) -> str:
        """Return it as lines of a shell."""
        return f"# {self.why}\n{shlex.join(('dialoeval', *self.command))}"


def main(arguments: Sequence[str]) -> int:
    """Make everything, and print the table."""
    size = Size()
    parser = argparse.ArgumentParser(
        prog="dialoeval reproduce mini",
        description="The paper in miniature: dumps, training and test data, a forward and a backward model, replies by "
        "greedy, beam and MMI, baselines, the human reply, and the table of the paper. The dumps are made of the "
        "conversations of the package chitchat-dataset. Killed, the same command goes on.",
    )
    parser.add_argument("--out", default="mini", metavar="FOLDER", help="where all of it goes [mini]")
    parser.add_argument("--talks", type=int, default=size.talks, metavar="N", help=f"conversations [{size.talks}]")
    parser.add_argument("--contexts", type=int, default=size.contexts, metavar="N", help=f"test [{size.contexts}]")
    parser.add_argument("--steps", type=int, default=size.steps, metavar="N", help=f"of each training [{size.steps}]")
    parser.add_argument("--commands", action="store_true", help="print the commands and stop")
    options = parser.parse_args(arguments)
    from dialoeval.corpus.synthetic import list_ids, write_dumps
    from dialoeval.errors import UserError
    from dialoeval.files import write_text

    for name in ("talks", "contexts", "steps"):
        if getattr(options, name) < 1:
            raise UserError(f"--{name} must be 1 or more")
    out, size = Path(options.out), Size(options.talks, options.contexts, options.steps)
    data, runs = data_commands(out), model_commands(out, size)
    if options.commands:
        print("".join(f"{step.shown()}\n" for step in (*data, *runs)), end="")
        return 0
    _same_size(out, size)
    dumps = out / "dumps"
    if not (out / IDS).exists():
        print(f"# dumps of {size.talks} + {size.contexts} threads, made of chitchat-dataset\n", flush=True)
        write_dumps(dumps, (TRAINING_MONTH, TEST_MONTH), size.talks, size.contexts)
    for step in data[:2]:
        _run(step)
    if not (out / IDS).exists():
        list_ids(dumps / f"RC_{TEST_MONTH}.zst", out / "test" / "rows.tsv", out / IDS)
    for step in (*data[2:], *runs):
        _run(step)
    table = paper_table(out)
    print(table.to_markdown())
    for suffix, text in ((".md", table.to_markdown()), (".csv", table.to_csv()), (".tex", table.to_latex())):
        write_text(out / f"table{suffix}", text)
    print(f"written: {out}/table.md, .csv, .tex; runs: {out}/reports")
    return 0


def data_commands(out: Path) -> list[Step]:
    """Return the commands that make the training rows and the test set."""
    dumps = ("build", "sessions", "--dumps", f"{out}/dumps")
    return [
        Step("training rows", (*dumps, "--months", TRAINING_MONTH, "--out", f"{out}/train")),
        Step("test rows", (*dumps, "--months", TEST_MONTH, "--out", f"{out}/test", "split=test")),
        Step(
            "the multi-reference test set",
            ("build", "reddit6k", "--rows", f"{out}/test/rows.tsv", "--ids", f"{out}/{IDS}", "--out", f"{out}/{TEST}"),
        ),
    ]


def model_commands(out: Path, size: Size) -> list[Step]:
    """Return the commands that train the two models, and generate and score the replies of every row."""
    rows = ("dataset=dialogpt_tsv", f"dataset.path={out}/train/rows.tsv")
    steps = [
        Step(
            f"the {direction} model",
            (
                *("train", "training=mini", *rows, f"training.direction={direction}"),
                *(f"training.max_steps={size.steps}", f"training.output_dir={out}/{direction}"),
            ),
        )
        for direction in ("forward", "backward")
    ]
    test = ("dataset=reddit6k", f"dataset.path={out}/{TEST}", "protocol=reddit6k", f"reports_dir={out}/reports")
    for row, (model, decoding) in ROWS.items():
        if decoding is None:
            chosen: tuple[str, ...] = (f"model={model}",)
            if model in LEARNT:
                chosen += ("model.baseline.dataset=dialogpt_tsv", f"model.baseline.settings.path={out}/train/rows.tsv")
        else:
            chosen = ("model=custom", "model.name=mini", f"model.path={out}/forward", f"decoding={decoding}")
            chosen += (f"model.backward={out}/backward",) if decoding == "mmi" else ()
        steps.append(Step(row, ("run", *chosen, *test)))
    return steps


def paper_table(out: Path) -> Table:
    """Return the paper's table of the runs, with a row for each of `ROWS`.

    Raises:
        UserError: a run is missing.
    """
    from dialoeval.errors import UserError
    from dialoeval.metrics.score_tables import score_table
    from dialoeval.runs.frame import list_runs
    from dialoeval.runs.reader import load_run

    runs = [load_run(run.folder) for run in list_runs(out / "reports") if run.status == "complete"]
    found = {(run.settings.model["name"], run.settings.decoding["name"]): run.scores for run in runs}
    scores = {model: one for (model, _), one in found.items()} | found
    rows = {row: scores.get(made if made[1] else made[0]) for row, made in ROWS.items()}
    if missing := [row for row, one in rows.items() if one is None]:
        raise UserError(f"{out}/reports has no complete run of {', '.join(missing)}")
    return score_table([(row, one) for row, one in rows.items() if one is not None], intervals=True)


def _run(step: Step) -> None:
    """Print a command, and run it without what it prints on stdout.

    Raises:
        UserError: it failed.
    """
    from dialoeval.cli.main import run_verb
    from dialoeval.errors import UserError

    print(f"{step.shown()}\n", flush=True)
    with contextlib.redirect_stdout(io.StringIO()):
        code = run_verb(step.command)
    if code:
        raise UserError(f"`{shlex.join(('dialoeval', *step.command))}` failed")


def _same_size(out: Path, size: Size) -> None:
    """Note the size of what is made in a folder, and refuse another one.

    Raises:
        UserError: the folder holds data of another size.
    """
    from dialoeval.errors import UserError
    from dialoeval.files import read_json, write_json

    file = out / "size.json"
    if file.exists() and read_json(file) != asdict(size):
        earlier = " ".join(f"--{name} {value}" for name, value in read_json(file).items())
        raise UserError(f"{out} was begun with {earlier}: use the same, or another --out")
    write_json(file, asdict(size))
