"""Random command lines of `run` and `train`: clean exits, no setting lost; the faults that they found."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest

from dialoeval.cli.main import main
from dialoeval.config.compose import compose
from dialoeval.errors import UserError

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "command_lines.py"
spec = importlib.util.spec_from_file_location("command_lines", SCRIPT)
command_lines = importlib.util.module_from_spec(spec)
spec.loader.exec_module(command_lines)


def test_random_command_lines_end_cleanly():
    """Of 150 lines, each is done or refused in one sentence, and no accepted setting has another value."""
    ends, faults = command_lines.measure(150, seed=7)
    assert faults == []
    assert ends["exit 0"] >= 15
    assert ends["exit 2"] >= 60


def test_a_lost_setting_is_found():
    """The comparison fails where a setting has another value than the one given, the last one counting."""
    config = SimpleNamespace(seed=1, protocol=SimpleNamespace(slots=0))
    assert command_lines.lost(["run", "seed=2", "seed=1"], config) is None
    assert "protocol.slots=3" in command_lines.lost(["run", "protocol.slots=3"], config)


@pytest.mark.parametrize("override", ["protocol.slots=???", "+protocol.slots=???", "++scoring.resamples=???"])
def test_the_mark_of_a_missing_value_is_refused(override):
    """Three question marks were read as the default."""
    with pytest.raises(UserError, match="is no value"):
        compose("config", [override])


@pytest.mark.parametrize("value", ["-0.5", "1", "true", "[a,b]", ""])
def test_an_experiment_without_a_name_is_refused(value):
    """A number ended in a traceback, in single runs and sweeps."""
    with pytest.raises(UserError, match="unknown experiment"):
        compose("config", [f"experiment={value}"])


@pytest.mark.parametrize("more", [[], ["-m"]])
def test_an_environment_variable_that_is_not_set_is_one_sentence(more, capsys):
    """A sweep ended in a traceback."""
    assert main(["run", "model.instruction=${oc.env:NOT_SET_HERE}", *more]) == 2
    message = "dialoeval: ${oc.env:NOT_SET_HERE}: this environment variable is not set\n"
    assert capsys.readouterr().err == message


@pytest.mark.parametrize("value", ["-1", "5", "0.5", "true,5"])
def test_a_number_is_not_true(value):
    """Every number but 0 was read as true."""
    with pytest.raises(UserError, match=r"scoring\.meteor must be true or false, not"):
        compose("config", [f"scoring.meteor={value}"])


@pytest.mark.parametrize(("value", "meant"), [("0", False), ("1", True), ("false", False)])
def test_zero_and_one_are_false_and_true(value, meant):
    """They can be meant no other way."""
    assert compose("config", [f"scoring.meteor={value}"]).scoring.meteor is meant
