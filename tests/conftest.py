"""Fixtures shared by all tests."""

from __future__ import annotations

import contextlib
import os
import shutil
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


CHROMIUM_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    """Return a Chromium without a window: `DIALOEVAL_CHROMIUM`, or the one on the path, driven by playwright."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="NOT CHECKED in a browser: playwright is absent")
    names = (os.environ.get("DIALOEVAL_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    program = next((found for name in names if name and (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("NOT CHECKED in a browser: no chromium (set DIALOEVAL_CHROMIUM)")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=CHROMIUM_FLAGS, timeout=120_000)
        yield opened
        opened.close()
