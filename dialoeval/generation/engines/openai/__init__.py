"""The `openai` engine, a client of any server with the OpenAI chat-completions protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dialoeval.errors import UserError
from dialoeval.generation.engines.openai.client import Client
from dialoeval.generation.engines.openai.source import VERSION, OpenAiSource

if TYPE_CHECKING:
    from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig

__all__ = ["KEYED_DRAWS", "RUNS_HERE", "VERSION", "open_source", "supports"]

RUNS_HERE = False
KEYED_DRAWS = False


def supports(model: ModelConfig, decoding: DecodingConfig) -> str | None:
    """Return None if the protocol supports the decoding, else the reason in one sentence."""
    unsupported = {
        "top_k": decoding.top_k > 0,
        "typical_p": decoding.typical_p < 1,
        "min_p": decoding.min_p > 0,
        "repetition_penalty": decoding.repetition_penalty != 1,
        "no_repeat_ngram_size": decoding.no_repeat_ngram_size > 0,
        "min_new_tokens": decoding.min_new_tokens > 0,
        "max_length": decoding.max_length > 0,
    }
    for name, used in unsupported.items():
        if used:
            return f"the protocol does not support decoding.{name}, only temperature and top_p"
    if decoding.end_tokens:
        return "the protocol does not support decoding.end_tokens: use decoding.stop, or engine.extra_body for a server"
    if decoding.strategy == "beam":
        return "the protocol does not support beam search, only greedy search and sampling"
    return None


def open_source(model: ModelConfig, engine: EngineConfig, decoding: DecodingConfig) -> OpenAiSource:
    """Return the candidate source for the server ``engine.base_url``, without a request to it.

    Raises:
        UserError: ``engine.base_url`` is missing, is not a URL, or contains a password; template arguments are set
            twice.
    """
    if model.template_args and "chat_template_kwargs" in engine.extra_body:
        raise UserError("engine.extra_body.chat_template_kwargs and model.template_args set the same: use one of them")
    return OpenAiSource(model, engine, Client(engine))
