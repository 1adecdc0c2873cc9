"""The `openai` engine: any server of the OpenAI chat-completions protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dialoeval.generation.engines.openai.client import Client
from dialoeval.generation.engines.openai.source import VERSION, OpenAiSource

if TYPE_CHECKING:
    from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig

__all__ = ["KEYED_DRAWS", "RUNS_HERE", "VERSION", "open_source", "supports"]

RUNS_HERE = False
KEYED_DRAWS = False


def supports(model: ModelConfig, decoding: DecodingConfig) -> str | None:
    """Return None, or one sentence on the decoding that the protocol does not provide for."""
    lacking = {
        "top_k": decoding.top_k > 0,
        "typical_p": decoding.typical_p < 1,
        "min_p": decoding.min_p > 0,
        "repetition_penalty": decoding.repetition_penalty != 1,
        "no_repeat_ngram_size": decoding.no_repeat_ngram_size > 0,
        "min_new_tokens": decoding.min_new_tokens > 0,
    }
    for name, used in lacking.items():
        if used:
            return f"the protocol has no decoding.{name}, only temperature and top_p"
    if decoding.strategy == "beam":
        return "the protocol has greedy search and sampling only, no beams"
    return None


def open_source(model: ModelConfig, engine: EngineConfig, decoding: DecodingConfig) -> OpenAiSource:
    """Return a source of candidates from the server ``engine.base_url``; nothing is sent yet.

    Raises:
        UserError: `engine.base_url` is missing or is not an address.
    """
    return OpenAiSource(model, engine, Client(engine))
