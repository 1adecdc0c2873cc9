"""Generating single-turn replies: prompts, models, engines, decoding, reranking.

`open_generator` is the way in; everything else is found through it.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from dialoeval.errors import UserError, nearest

if TYPE_CHECKING:
    from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
    from dialoeval.generation.types import Generator

__all__ = ["VERSION", "engines", "open_generator"]

# Raised when a change of the code changes replies: part of every run's identity.
VERSION = 1


def engines() -> list[str]:
    """The engines that can be named."""
    from dialoeval.generation import engines as package

    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def open_generator(model: ModelConfig, engine: EngineConfig, decoding: DecodingConfig) -> Generator:
    """Load what it takes to reply with `model`, `engine` and `decoding`. The last model stays in memory, so that a
    sweep loads it once.

    Raises:
        UserError: the model cannot be had, the engine cannot do this, or the settings contradict each other.
    """
    name = str(engine.name)
    if name in ("openai", "vllm"):
        return importlib.import_module(f"dialoeval.generation.engines.{name}").open(model, engine, decoding)
    if name not in ("auto", "fast", "hf"):
        raise UserError(f"unknown engine {name!r}{nearest(name, [*engines(), 'auto'])}")
    from dialoeval.generation.local import open_local

    return open_local(model, engine, decoding)
