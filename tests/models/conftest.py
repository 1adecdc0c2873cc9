"""Model folders that the tests of loading share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.random_models import random_gpt2, scaled


@pytest.fixture(scope="session")
def gpt2(tmp_path_factory) -> Path:
    """A sound model folder that tests copy before they break it; its replies differ, and some end by themselves."""
    folder = random_gpt2(tmp_path_factory.mktemp("sound"), layers=2, width=32, heads=2, seed=3)
    return scaled(folder, matrices=12.0, last=25.0)


@pytest.fixture
def copy(gpt2, tmp_path) -> Path:
    return Path(shutil.copytree(gpt2, tmp_path / "model"))
