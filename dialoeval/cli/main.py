"""The `dialoeval` command: one verb a module, imported only when it is called, so that help is instant."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import sys
from collections.abc import Iterator, Sequence

from dialoeval.errors import UserError, nearest
from dialoeval.version import __version__

# verb -> (module in dialoeval.cli with a `main(arguments) -> exit code`, what it does)
VERBS = {
    "inspect": ("inspect", "show how a file or dataset is read: columns, examples, the prompt, warnings"),
    "run": ("run", "generate replies and score them: model, decoding and dataset from conf/ (a Hydra application)"),
    "build": ("build", "build data sets from raw dumps: conversations, the 6K and DSTC7 test sets"),
    "chat": ("chat", "talk to a model: each reply is the one that run gives"),
    "train": ("train", "train or fine-tune a dialogue model (a Hydra application)"),
    "score": ("score", "score replies from anywhere with the paper's metrics"),
    "import": ("import_", "make runs of replies from elsewhere, for compare, report and list"),
    "compare": ("compare", "compare runs: paired tests on every metric, and why they differ"),
    "reproduce": ("reproduce", "print the paper's tables beside what was measured here"),
    "board": ("board", "show all runs in one table: columns, sort, filter, groups, seeds folded; or on one page"),
    "report": ("report", "write one self-contained HTML file of runs"),
    "export": ("export", "write a run's figures as a model card or an evaluation result of the Hub, or as a citation"),
    "check": ("check", "check test data: its own leaks, and what of it stands in training data"),
    "judge": ("judge", "human evaluation: make blind studies of runs, serve them to judges, analyse judgments"),
    "list": ("list", "list models, decodings, datasets, metrics, runs"),
    "show": ("show", "show one run"),
    "doctor": ("doctor", "check what works on this machine"),
    "fetch": ("fetch", "download a model that works without the Hub"),
    "completion": ("completion", "print a script that completes commands in bash, zsh or fish"),
}


def usage() -> str:
    """Return what ``dialoeval --help`` prints."""
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {what}" for verb, (_, what) in VERBS.items())
    return (
        f"dialoeval {__version__}: evaluate response generation\n\n"
        f"usage: dialoeval VERB [arguments]\n\n{verbs}\n\n"
        "`dialoeval VERB --help` describes a verb.\n"
    )


class _StderrHandler(logging.Handler):
    """Print a message as plain text to what `sys.stderr` is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)


@contextlib.contextmanager
def log_to_stderr() -> Iterator[None]:
    """Print what the library logs, INFO and above, on stderr and nowhere else; within itself it changes nothing."""
    logger, handler = logging.getLogger("dialoeval"), _StderrHandler()
    if any(isinstance(other, _StderrHandler) for other in logger.handlers):
        yield
        return
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # Hydra and other libraries may have given the root logger handlers of their own
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


def _print_anything() -> None:
    r"""Print characters that the terminal's encoding lacks, and lone surrogates, as ``\uXXXX`` instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def run_verb(arguments: Sequence[str]) -> int:
    """Run one verb; return its exit code.

    Raises:
        UserError: there is no such verb, or what the verb raises.
    """
    verb, *rest = arguments
    if verb not in VERBS:
        raise UserError(f"unknown verb {verb!r}{nearest(verb, VERBS)} (`dialoeval --help` lists them)")
    code: int = importlib.import_module(f"dialoeval.cli.{VERBS[verb][0]}").main(rest)
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb. Exit codes: 0 done, 1 a job failed, 2 the user can put it right, 130 interrupted."""
    _print_anything()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage(), end="")
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"dialoeval {__version__}")
        return 0
    try:
        if sys.platform == "win32":
            raise UserError("dialoeval runs on Linux and macOS; on Windows use it in WSL (wsl --install)")
        with log_to_stderr():
            return run_verb(arguments)
    except UserError as error:
        print(f"dialoeval: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("dialoeval: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1
