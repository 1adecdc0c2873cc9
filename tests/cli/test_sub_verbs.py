"""Verbs with sub-verbs: each has its module, and a wrong name is one sentence."""

from __future__ import annotations

import importlib

import pytest

from dialoeval.cli import build, judge
from dialoeval.cli.main import main


@pytest.mark.parametrize(("verb", "module"), [("build", build), ("judge", judge)])
def test_every_sub_verb_has_a_module_and_is_in_the_help(verb, module, capsys):
    assert main([verb]) == main([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    for name, what in module.SUB_VERBS.items():
        assert callable(importlib.import_module(f"dialoeval.cli.{verb}_{name}").main)
        assert f"  {name}" in shown and what in shown
    first = next(iter(module.SUB_VERBS))
    assert main([verb, first[:-1]]) == 2
    assert capsys.readouterr().err.count("\n") == 1
