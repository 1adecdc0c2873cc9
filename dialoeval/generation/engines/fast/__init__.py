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
    picker = picker_class(decoding)
    reason = unsupported(config) or picker.supports(decoding, config.vocab_size, len(loaded.eos_ids))
    # With several end tokens of its own a model has always been run by hf; the engine is part of a run's identity.
    if reason is None and len(loaded.eos_ids) > 1 and not decoding.end_tokens:
        return f"{loaded.name} ends replies with {len(loaded.eos_ids)} tokens"
    return reason


def open_engine(loaded: LoadedModel, engine: EngineConfig) -> FastEngine:
    """Return the engine for a model that it supports.

    Raises:
        UserError: the device or dtype is not available.
    """
    engine = replace(engine, device=loaded.device)
    return FastEngine(loaded.model, engine, eos_ids=loaded.eos_ids, window=loaded.window, tokenizer=loaded.tokenizer)
