"""Generating single-turn replies: prompts, engines, decoding, reranking.

`open_generator` is the way in; everything else is reached through it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
    from dialoeval.generation.types import Generator

__all__ = ["VERSION", "open_generator"]

# Raised when a change of the code changes replies: part of every run's identity.
VERSION = 1


def open_generator(model: ModelConfig, engine: EngineConfig, decoding: DecodingConfig) -> Generator:
    """Load what it takes to reply with `model`, `engine` and `decoding`. The last model stays in memory, so that a
    sweep loads it once.

    Raises:
        UserError: the model is not available, the engine cannot do this, or the settings contradict each other.
    """
    from dialoeval.generation import generator
    from dialoeval.generation.checks import check_decoding, check_engine

    check_decoding(decoding)
    check_engine(engine)
    return generator.open_generator(model, engine, decoding)
