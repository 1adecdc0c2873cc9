"""A sound model folder, and what tests of loading do to folders and weight files."""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path
from typing import Any

from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
from dialoeval.data import Example
from dialoeval.generation import open_generator
from dialoeval.generation.generator import ReplyGenerator
from dialoeval.models import LoadedModel, ModelDescription, describe_model, load_model
from support.random_models import TEXTS

CPU = EngineConfig(device="cpu", workers=1)
SMALL = {"layers": 1, "width": 32, "heads": 2}
EXAMPLES = [Example(f"e{i}", tuple(TEXTS[i % 3 : i % 3 + 1 + i % 4])) for i in range(12)]
GREEDY = DecodingConfig(name="greedy", strategy="greedy", max_new_tokens=12)


def load(folder: str | Path, loader: Any = load_model, **settings: Any) -> LoadedModel:
    """Load a folder on the CPU."""
    return loader(str(folder), **{"revision": None, "weights": None, "engine": CPU, **settings})


def describe(folder: str | Path, revision: str | None = None) -> ModelDescription:
    """Describe a folder as for another program that runs it."""
    return describe_model(str(folder), revision=revision)


def open_model(folder: Path, decoding: DecodingConfig, engine: str = "auto", **settings: Any) -> ReplyGenerator:
    """Open a generator over a folder on the CPU."""
    config = EngineConfig(name=engine, device="cpu", workers=1)
    return open_generator(ModelConfig(name="m", path=str(folder), **settings), config, decoding)


def fingerprint(model: Any) -> str:
    """Return the SHA-256 of a model's input embeddings."""
    return hashlib.sha256(model.get_input_embeddings().weight.detach().numpy().tobytes()).hexdigest()


def cut_short(path: Path) -> None:
    """Cut the end off a file."""
    path.write_bytes(path.read_bytes()[:-1000])


class Code:
    """A pickle of it runs code where it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = str(mark)

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (self.mark,))


def write_code(path: Path, mark: Path) -> None:
    """Write a pickle that makes the folder `mark` where it is read with code allowed."""
    path.write_bytes(pickle.dumps({"transformer.wte.weight": Code(mark)}, protocol=2))
    pickle.loads(path.read_bytes())
    assert mark.exists(), "the trap does not work"
    mark.rmdir()
