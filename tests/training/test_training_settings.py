"""Training settings out of range are refused by name, before anything is loaded."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialoeval.cli.main import main
from dialoeval.config import ArchitectureConfig, TrainingConfig
from dialoeval.errors import UserError

SMALL_INPUTS = [
    ("training.max_grad_norm=-1", "training.max_grad_norm=-1.0: must be 0 (off) or more"),
    ("training.learning_rate=-1", "training.learning_rate=-1.0: must be above 0"),
    ("training.learning_rate=0", "training.learning_rate=0.0: must be above 0"),
    ("training.learning_rate=nan", "training.learning_rate=nan: must be above 0"),
    ("training.learning_rate=inf", "training.learning_rate=inf: must be above 0"),
    ("training.beta2=1", "training.beta2=1.0: must be at least 0 and below 1"),
    ("training.dropout=2", "training.dropout=2.0: must be at least 0 and below 1"),
    ("training.weight_decay=-0.1", "training.weight_decay=-0.1: must be 0 (none) or more"),
    ("training.warmup_steps=-1", "training.warmup_steps=-1: must be 0 (none) or more"),
    ("training.patience=-1", "training.patience=-1: must be 0 (off) or more"),
    ("training.epochs=0", "both say how long to train"),
    ("training.keep=first", "training.keep must be last or best"),
    ("training.architecture.heads=0", "training.architecture.heads=0: must be at least 1"),
    ("training.architecture.layers=0", "training.architecture.layers=0: must be at least 1"),
    ("training.architecture.width=-8", "training.architecture.width=-8: must be at least 1"),
    ("training.architecture.vocabulary=256", "training.architecture.vocabulary=256: must be at least 257"),
    ("training.block_size=65", "exceeds the model's context length of 64 tokens"),
    ("training.output_dir=''", "training.output_dir is empty"),
    ("training.output_dir=' '", "training.output_dir is empty"),
    ("seed=-1", "seed=-1: must be at least 0 and below 2**32"),
    ("seed=4294967296", "seed=4294967296: must be at least 0 and below 2**32"),
]


@pytest.mark.parametrize(("override", "message"), SMALL_INPUTS)
def test_a_setting_out_of_range_is_refused_by_name(overrides, tmp_path, capsys, override, message):
    assert main(["train", *overrides, override]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_issue_of_a_negative_clip_in_a_process(overrides, start):
    process = start(*overrides, "training.max_grad_norm=-1")
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert errors == "dialoeval: training.max_grad_norm=-1.0: must be 0 (off) or more\n"


def test_an_output_folder_that_is_a_file(overrides, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert main(["train", *overrides, f"training.output_dir={tmp_path}/file"]) == 2
    assert "is a file: choose another folder" in capsys.readouterr().err
    assert main(["train", *overrides, f"training.output_dir={tmp_path}/file/below"]) == 2
    assert "cannot write" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


numbers = st.one_of(st.floats(), st.integers(-3, 3).map(float))


@given(
    learning_rate=numbers, weight_decay=numbers, beta2=numbers, max_grad_norm=numbers, dropout=numbers, epochs=numbers
)
def test_exactly_the_numbers_that_mean_something_are_accepted(**settings):
    try:
        TrainingConfig(name="x", output_dir="x", **settings)
    except UserError as error:
        refused = str(error)
    else:
        refused = None
    sensible = (
        all(math.isfinite(value) and value >= 0 for value in settings.values())
        and settings["learning_rate"] > 0
        and settings["epochs"] > 0
        and max(settings["beta2"], settings["dropout"]) < 1
    )
    assert sensible == (refused is None)
    assert sensible or any(refused.startswith(f"training.{name}=") for name in settings)


@given(st.integers(-2, 40), st.integers(-2, 8))
def test_a_width_is_a_multiple_of_the_heads(width, heads):
    try:
        shape = ArchitectureConfig(width=width, heads=heads)
    except UserError:
        assert width < 1 or heads < 1 or width % heads
    else:
        assert shape.width % shape.heads == 0
