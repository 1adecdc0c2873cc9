"""The settings that the processes of the engine share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dialoeval.config import DecodingConfig, EngineConfig
from dialoeval.generation.types import TokenRequest


@dataclass(frozen=True)
class Settings:
    """Settings of an engine.

    Attributes:
        eos_ids: the end tokens.
        window: context length in tokens, which prompt and reply share.
        tokenizer: of transformers, for stop texts.
    """

    engine: EngineConfig
    eos_ids: tuple[int, ...]
    window: int
    tokenizer: Any = None


@dataclass(frozen=True)
class Job:
    """Settings of one call of `generate`.

    Attributes:
        longest_prompt: length of the longest prompt in tokens.
        share: requests per process, rounded up.
        processes: number of processes that share the memory.
        hear: told the tokens of the only reply so far after every step, within this process.
    """

    decoding: DecodingConfig
    seed: int
    longest_prompt: int
    share: int
    processes: int = 1
    hear: Callable[[Sequence[int]], None] | None = None


def reply_limit(request: TokenRequest, decoding: DecodingConfig, window: int) -> int:
    """Return the limit of a reply's tokens, end token included; 0 if the prompt fills the window.

    Raises:
        ValueError: the prompt is empty or longer than the window, or the request's own limit is below 1.
    """
    length = len(request.token_ids)
    if not 0 < length <= window:
        raise ValueError(f"the prompt of {request.example_id!r} has {length} tokens; the model takes 1 to {window}")
    return min(request.limit(decoding), window - length)
