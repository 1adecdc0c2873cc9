"""Every dataset kind keeps the protocol."""

from __future__ import annotations

import importlib
import inspect

import pytest

from dialoeval import data
from dialoeval.config.schema import DatasetConfig


@pytest.mark.parametrize("kind", data.kinds())
def test_a_kind_is_a_module_with_load_and_perhaps_dialogues(kind):
    module = importlib.import_module(f"dialoeval.data.sources.{kind}")
    assert list(inspect.signature(module.load).parameters) == ["config"]
    if isinstance(module, data.ConversationKind):
        assert list(inspect.signature(module.dialogues).parameters) == ["config"]


def test_kinds_say_whether_they_have_splits():
    having = {kind for kind in data.kinds() if data.has_splits(DatasetConfig(name="d", kind=kind))}
    assert having == {"chitchat", "hub"}
