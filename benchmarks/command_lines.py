"""Random command lines of `run` and `train`: how many end in a traceback, and how many lose a setting without a word.

    python benchmarks/command_lines.py [--count 2000] [--seed 0]

Groups, options, settings, values right and wrong, flags and Hydra's syntax are drawn at random. Composition, the checks
of settings and the reading of data are real; where a model would be loaded, the command goes on as if it had finished.
Each line must end with 0, 1, 2 or 130, and with 2 print one sentence; a setting that was accepted must have the value
given. Prints a table and the faults, and exits with 1 if there are any.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import os
import random
import shlex
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from dialoeval.cli.main import main as dialoeval
from dialoeval.config.compose import known_keys
from dialoeval.config.groups import group_options

RUN_GROUPS = ("model", "decoding", "dataset", "protocol", "engine", "experiment")
TRAIN_GROUPS = ("model", "dataset", "training")
VALUES = (
    "0", "1", "2", "5", "64", "-1", "0.5", "0.9", "1.5", "1e-4", "-0.5", "nan", "inf", "-inf", "null", "true", "false",
    "''", '""', "", "abc", "tiny", "test", "bf16", "sample", "beam", "chat", "none", "é", "日本語", "'a b'", "a b",
    "[]", "[a,b]", "[1,2]", "[[]]", "{}", "{a:1}", "{a:{b:1}}", "'", '"', "[", "}", "a=b", "a,b", "1,2", "'a,b'",
    "${seed}",
    "${nope}", "${model.name}", "${oc.env:NOPE}", "${", "9" * 30, "1e400", "x" * 300, "range(1,3)", "choice(a,b)", "~",
    "a/b", "a:b", r"\n", "2024-01-31", "???", "-", "1_000", "0x10", "glob(*)", "int(3)", "shuffle(1,2)",
)  # fmt: skip
FLAGS = (
    "-m", "--multirun", "--cfg", "--cfg=job", "--cfg=hydra", "--resolve", "--info=config", "--package=model", "--foo",
    "--shell-completion", "-c", "job", "--fail-fast", "--json", "--quiet", "--run", "-x", "--config-name=a", "--help",
    "--config-dir=nope", "--config-dir", "-", "--", "-m=1",
)  # fmt: skip
ODD = (
    "~{key}", "~{group}", "+{key}={value}", "++{key}={value}", "+{group}={value}", "{key}", "={value}",
    "{key}.x={value}", "+x={value}", "{key}x={value}", "{group}@x=tiny", "{group}={value}", "hydra.verbose={value}",
    "hydra/launcher=basic", "hydra.job.name=a", "{key}:={value}", "{value}", "~{key}={value}", "++x.y={value}",
)  # fmt: skip
REPLACED = "${", "range(", "choice(", "glob(", "int(", "shuffle("  # values that Hydra computes


class Reached(Exception):
    """The command has come to where it loads the model."""


def command_line(draw: random.Random) -> list[str]:
    """Return a random command line, without `dialoeval`."""
    verb = draw.choice(("run", "run", "train"))
    groups = RUN_GROUPS if verb == "run" else TRAIN_GROUPS
    keys = [key for key in known_keys("config" if verb == "run" else "train") if key not in groups]
    words = []
    for _ in range(draw.choice((0, 1, 1, 1, 2, 2, 3, 4))):
        names = {"key": draw.choice(keys), "group": draw.choice(groups), "value": draw.choice(VALUES)}
        kind = draw.random()
        if kind < 0.3:
            words.append(f"{names['group']}={draw.choice(group_options(names['group']))}")
        elif kind < 0.75:
            words.append(f"{names['key']}={names['value']}")
        elif kind < 0.9:
            words.append(draw.choice(ODD).format(**names))
        else:
            words.append(draw.choice(FLAGS))
    return [verb, *words]


@contextlib.contextmanager
def stubbed(accepted: list[Any]) -> Iterator[None]:
    """Load no model: put each configuration that comes so far into `accepted`, and go on with scores of a real run."""
    from dialoeval.config.compose import compose
    from dialoeval.data.sources import chitchat
    from dialoeval.runs import runner
    from dialoeval.training import job
    from dialoeval.training import train as training

    real_run, real_train = runner.run, training.train
    finished = real_run(compose("config", ["dataset.limit=2", "scoring.meteor=false", "reports_dir=.finished"]))

    def reached(*_: Any, **__: Any) -> Any:
        raise Reached

    def run(config: Any, draw: Any = None) -> Any:
        accepted.append(config)
        with contextlib.suppress(Reached):
            real_run(config)
        folder = runner.RunFolder(Path(config.reports_dir) / finished.folder.path.name)
        shutil.copytree(finished.folder.path, folder.path, dirs_exist_ok=True)
        return runner.RunResult(folder, finished.name, finished.scores, generated=2)

    def train(config: Any, command: str | None = None) -> Any:
        accepted.append(config)
        with contextlib.suppress(Reached):
            real_train(config, command)
        return SimpleNamespace(validation_perplexity=2.0, released_perplexity=2.1)

    with (
        mock.patch.object(runner, "open_generator", reached),
        mock.patch.object(job, "make_model", reached),
        mock.patch.object(runner, "run", run),
        mock.patch.object(training, "train", train),
        mock.patch("dialoeval.reports.write_html"),
        mock.patch.object(chitchat, "conversations", functools.cache(chitchat.conversations)),
    ):
        yield


def _same(given: Any, found: Any) -> bool:
    """Return whether a value of the configuration is the one given, whatever its type."""
    if isinstance(given, list) and isinstance(found, list):
        return len(given) == len(found) and all(map(_same, given, found))
    if isinstance(given, dict) and isinstance(found, dict):
        return all(str(k) in map(str, found) for k in given)
    if given is None or found is None:
        return given is found
    try:
        return float(given) == float(found)
    except (TypeError, ValueError):
        return str(given).replace("\\n", "\n").casefold() == str(found).casefold()


def lost(arguments: list[str], config: Any) -> str | None:
    """Return the first setting of an accepted command line that the configuration does not have."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parser, last = OverridesParser.create(), {}
    for word in arguments[1:]:
        if "=" in word and not word.startswith("-") and not any(text in word for text in REPLACED):
            override = parser.parse_override(word)
            last[override.key_or_group] = (word, override.value())
    for key, (word, value) in last.items():
        if key.startswith("hydra") or ("." not in key and key in (*RUN_GROUPS, *TRAIN_GROUPS)):
            continue
        found = config
        for part in key.split("."):
            found = found.get(part) if isinstance(found, dict) else getattr(found, part, None)
        if hasattr(value, "text"):  # a quoted text
            value = value.text
        if not _same(value, found):
            return f"{word}: accepted as {found!r}"
    return None


def outcome(arguments: list[str], accepted: list[Any]) -> tuple[str, str | None]:
    """Run a command line; return how it ended, and the fault if there is one."""
    accepted.clear()
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = dialoeval(arguments)
    except BaseException as error:  # every kind is a fault, SystemExit too
        where = traceback.extract_tb(error.__traceback__)[-1]
        return "traceback", f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
    errors = err.getvalue()
    if "Traceback" in errors + out.getvalue():
        return "traceback", errors[-300:]
    if code not in (0, 1, 2, 130):
        return f"exit {code}", "unknown exit code"
    if code == 2 and (len(errors.splitlines()) != 1 or not errors.startswith("dialoeval: ")):
        return "exit 2, not one sentence", errors[:400]
    fault = lost(arguments, accepted[0]) if code == 0 and len(accepted) == 1 else None
    return ("setting lost", fault) if fault else (f"exit {code}", None)


def measure(count: int, seed: int, tell: Callable[[str], None] = lambda text: None) -> tuple[Counter[str], list[str]]:
    """Run random command lines in an empty folder; return how they ended, and the faults."""
    draw, ends, faults = random.Random(seed), Counter[str](), []
    accepted: list[Any] = []
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), stubbed(accepted):
        for _ in range(count):
            arguments = command_line(draw)
            end, fault = outcome(arguments, accepted)
            ends[end] += 1
            if fault:
                faults.append(f"{shlex.join(arguments)}\n    {end}: {fault}")
                tell(faults[-1])
    return ends, faults


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    ends, faults = measure(arguments.count, arguments.seed, lambda text: print(text, file=sys.stderr, flush=True))
    print("| outcome | command lines |\n| --- | --- |")
    for end, number in sorted(ends.items()):
        print(f"| {end} | {number} |")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
