"""Conversations to train on, and the settings of a tiny training."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.random_models import TEXTS

from dialoeval.config.compose import compose

ROOT = Path(__file__).resolve().parents[2]


SETTINGS = (
    "training.objective=all",
    "training.block_size=64",
    "training.batch_tokens=300",
    "training.micro_batch_tokens=200",
    "training.max_steps=12",
    "training.warmup_steps=2",
    "training.learning_rate=3e-3",
    "training.log_every=5",
    "training.save_every=4",
    "device=cpu",
)
SCRATCH = (
    "training.from_scratch=true",
    "training.architecture={layers: 1, width: 32, heads: 2, window: 64, vocabulary: 300}",
)


@pytest.fixture(scope="session")
def some_talks(tmp_path_factory):
    """Return the path of a file of 60 short conversations."""
    path = tmp_path_factory.mktemp("some-talks") / "talks.jsonl"
    turns = [[TEXTS[(i + j) % len(TEXTS)] for j in range(2 + i % 3)] for i in range(60)]
    path.write_text("".join(json.dumps({"turns": t}) + "\n" for t in turns))
    return path


def settings_of(talks, output, *more, start=SCRATCH):
    """Return the settings of a training of a second or two on `talks` into `output`."""
    return ["dataset=conversations", f"dataset.path={talks}", f"training.output_dir={output}", *start, *SETTINGS, *more]


@pytest.fixture(scope="session")
def settings(some_talks):
    """Return a function that makes the configuration of a training into a folder."""
    return lambda output, *more, start=SCRATCH: compose("train", settings_of(some_talks, output, *more, start=start))


@pytest.fixture(scope="session")
def settings_words(some_talks):
    """Return a function that makes the command line of a training into a folder."""
    return lambda output, *more: settings_of(some_talks, output, *more)


@pytest.fixture
def overrides(some_talks, tmp_path):
    """Return the settings of a training from scratch into `tmp_path`/out, of a second or two."""
    return settings_of(some_talks, tmp_path / "out")


@pytest.fixture(scope="session")
def environment():
    """Return the environment of a `dialoeval` in a process of its own."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def start(environment):
    """Return a function that starts `dialoeval train` in a process of its own."""
    processes = []

    def popen(*arguments, command=(sys.executable, "-m", "dialoeval"), **options):
        command = [*command, "train", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        processes.append(subprocess.Popen(command, text=True, env=environment, **pipes, **options))
        return processes[-1]

    yield popen
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()
