"""What the parts of one `generate` share."""

from __future__ import annotations

from dataclasses import dataclass

from dialoeval.config import DecodingConfig, EngineConfig
from dialoeval.generation.types import TokenRequest


@dataclass(frozen=True)
class Settings:
    """What every process of an engine knows.

    Attributes:
        eos_id: the token that ends a reply.
        window: positions of prompt and reply together.
    """

    engine: EngineConfig
    eos_id: int
    window: int


@dataclass(frozen=True)
class Job:
    """What the processes of one `generate` share.

    Attributes:
        longest_prompt: of all its requests, in tokens.
        share: requests a process, rounded up.
        processes: that share the memory.
    """

    decoding: DecodingConfig
    seed: int
    longest_prompt: int
    share: int
    processes: int = 1


def reply_limit(request: TokenRequest, decoding: DecodingConfig, window: int) -> int:
    """Return how many tokens a reply may have, the end token counted; 0 if the prompt fills the window.

    Raises:
        ValueError: the prompt is empty or longer than the window, or the request's own limit is below 1.
    """
    length = len(request.token_ids)
    if not 0 < length <= window:
        raise ValueError(f"the prompt of {request.example_id!r} has {length} tokens; the model takes 1 to {window}")
    return min(request.limit(decoding), window - length)
