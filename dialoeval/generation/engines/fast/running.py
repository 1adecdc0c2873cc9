"""Generating and scoring with one network in one process, whatever memory allows."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dialoeval.config import EngineConfig
from dialoeval.errors import UserError, is_out_of_memory
from dialoeval.generation.engines.fast import decode, memory, scoring
from dialoeval.generation.types import TokenReply, TokenRequest

if TYPE_CHECKING:
    from dialoeval.config import DecodingConfig
    from dialoeval.generation.engines.fast.accounting import Accounts
    from dialoeval.generation.engines.fast.network import Network


@dataclass(frozen=True)
class Settings:
    """What every process of an engine knows. `window` counts the positions of prompt and reply together."""

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


def generate(
    network: Network, settings: Settings, job: Job, feed: decode.Feed, accounts: Accounts
) -> Iterator[TokenReply]:
    """Yield the replies to all that `feed` gives; out of memory halves the work in flight and starts that again.

    A reply depends on its own request alone, so starting again changes none.
    """
    rows = decode.width(job.decoding)
    capacity = job.longest_prompt + rows * job.decoding.max_new_tokens
    plan = memory.plan(network, settings.engine, rows, capacity * decode.spread(job.decoding), job.processes)
    plan = replace(plan, rows=max(rows, min(plan.rows, job.share * rows)))
    unanswered: dict[str, TokenRequest] = {}
    again: deque[TokenRequest] = deque()

    def tracked(count: int) -> Sequence[TokenRequest]:
        taken = [again.popleft() for _ in range(min(count, len(again)))] or feed(count)
        unanswered.update((request.example_id, request) for request in taken)
        return taken

    def attempt() -> Iterator[TokenReply]:
        decoder = decode.Decoder(
            network,
            job.decoding,
            plan,
            accounts,
            seed=job.seed,
            eos_id=settings.eos_id,
            window=settings.window,
            longest_prompt=job.longest_prompt,
        )
        for reply in decoder.run(tracked):
            unanswered.pop(reply.example_id, None)
            yield reply

    while True:
        try:
            yield from attempt()
            return
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        plan = plan.halved(rows)
        again.extend(unanswered.values())
        unanswered.clear()
        _recover(network, accounts)


def score(network: Network, pairs: Sequence[scoring.Pair], accounts: Accounts) -> list[float]:
    """Scores of one batch of pairs, halved as long as it does not fit the memory."""
    try:
        return scoring.score(network, pairs, accounts)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        if len(pairs) == 1:
            raise UserError("out of memory while scoring a single pair: take a smaller model or bf16") from error
    _recover(network, accounts)
    middle = len(pairs) // 2
    return score(network, pairs[:middle], accounts) + score(network, pairs[middle:], accounts)


def _recover(network: Network, accounts: Accounts) -> None:
    import torch

    gc.collect()
    if network.device.type == "cuda":
        torch.cuda.empty_cache()
    accounts.add(out_of_memory_retries=1)
