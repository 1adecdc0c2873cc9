"""Fixtures shared by all tests."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import pytest

# Tests stay offline and run each library on one thread.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# absl (a dependency of rouge-score and tensorboard) logs to the sys.stderr of its first import, and Hydra closes the
# streams of all log handlers. If a test imports absl first, that stream is pytest's capture.
with contextlib.suppress(ImportError), contextlib.redirect_stderr(sys.__stderr__):
    import absl.logging  # noqa: F401

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of official scores: `DIALOEVAL_SHARED`, or ``shared`` beside the checkout."""
    folder = Path(os.environ.get("DIALOEVAL_SHARED", SHARED))
    if not (folder / "dstc7" / "official.json").is_file():
        pytest.skip(f"NOT CHECKED against the official scores: {folder} does not exist (set DIALOEVAL_SHARED)")
    return folder
