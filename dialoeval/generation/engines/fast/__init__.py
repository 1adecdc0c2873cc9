"""The `fast` engine: the replies of `generate` for GPT-2 and Llama models, many times faster, on CPU and CUDA.

Start with `decode.py` (the loop), `cache.py` (beams that share keys and values) and `gpt2.py` (the model).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dialoeval.generation.engines.fast.architectures import unsupported
from dialoeval.generation.engines.fast.decode import picker_class
from dialoeval.generation.engines.fast.engine import VERSION, FastEngine

if TYPE_CHECKING:
    from dialoeval.config import DecodingConfig, EngineConfig
    from dialoeval.models.loading import LoadedModel

__all__ = ["AUTO", "KEYED_DRAWS", "ROUNDS_IN_PLACE", "RUNS_HERE", "VERSION", "FastEngine", "open_engine", "supports"]

RUNS_HERE = True
KEYED_DRAWS = True
ROUNDS_IN_PLACE = False
AUTO = 2


def supports(loaded: LoadedModel, decoding: DecodingConfig) -> str | None:
    """Return None if the engine supports the model and the decoding, else the reason in one sentence."""
    config = loaded.model.config
    reason = unsupported(config) or picker_class(decoding).supports(decoding, config.vocab_size)
    if reason is None and len(loaded.eos_ids) > 1:
        return f"{loaded.name} ends replies with {len(loaded.eos_ids)} tokens"
    return reason


def open_engine(loaded: LoadedModel, engine: EngineConfig) -> FastEngine:
    """Return the engine for a model that it supports.

    Raises:
        UserError: the device or dtype is not available.
    """
    engine = replace(engine, device=loaded.device)
    return FastEngine(loaded.model, engine, eos_id=loaded.eos_id, window=loaded.window)
