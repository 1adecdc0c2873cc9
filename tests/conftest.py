"""Fixtures shared by all tests."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import pytest

# Tests never reach for a hub, and never load the machine with more threads than they need.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# absl (of rouge-score and tensorboard) logs to the stderr of the moment it is imported, and Hydra closes the streams of
# all log handlers: pytest's own capture, if a test is the first to import absl.
with contextlib.suppress(ImportError), contextlib.redirect_stderr(sys.__stderr__):
    import absl.logging  # noqa: F401

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of official scores beside the checkout (`DIALOEVAL_SHARED` names another place)."""
    folder = Path(os.environ.get("DIALOEVAL_SHARED", SHARED))
    if not (folder / "dstc7" / "official.json").is_file():
        pytest.skip(f"NOT CHECKED against the official scores: {folder} is absent (set DIALOEVAL_SHARED)")
    return folder
