"""Generating and scoring with one network in one process, with less at once when memory runs out."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dialoeval.errors import UserError, is_out_of_memory
from dialoeval.generation.engines.fast import decode, memory, scoring
from dialoeval.generation.types import TokenReply, TokenRequest

if TYPE_CHECKING:
    from dialoeval.generation.engines.fast.counters import Counters
    from dialoeval.generation.engines.fast.job import Job, Settings
    from dialoeval.generation.engines.fast.network import Network


def generate(
    network: Network, settings: Settings, job: Job, feed: decode.Feed, counters: Counters
) -> Iterator[TokenReply]:
    """Yield the replies to all that `feed` gives; out of memory halves the work in flight and starts that again.

    A reply depends on its own request alone, so starting again changes none.
    """
    picker = decode.picker_of(job.decoding)
    rows = picker.width(job.decoding)
    capacity = job.longest_prompt + rows * job.decoding.max_new_tokens
    plan = memory.plan(network, settings.engine, rows, capacity * picker.spread(job.decoding), job.processes)
    plan = replace(plan, rows=max(rows, min(plan.rows, job.share * rows)))
    unanswered: dict[str, TokenRequest] = {}
    again: deque[TokenRequest] = deque()

    def tracked(count: int) -> Sequence[TokenRequest]:
        taken = [again.popleft() for _ in range(min(count, len(again)))] or feed(count)
        unanswered.update((request.example_id, request) for request in taken)
        return taken

    def attempt() -> Iterator[TokenReply]:
        decoder = decode.Decoder(network, settings, job, plan, counters)
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
        _recover(network, counters)


def score(network: Network, pairs: Sequence[scoring.Pair], counters: Counters) -> list[float]:
    """Return the scores of one batch of pairs, halved as long as it does not fit the memory."""
    try:
        return scoring.score(network, pairs, counters)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        if len(pairs) == 1:
            raise UserError("out of memory while scoring a single pair: take a smaller model or bf16") from error
    _recover(network, counters)
    middle = len(pairs) // 2
    return score(network, pairs[:middle], counters) + score(network, pairs[middle:], counters)


def _recover(network: Network, counters: Counters) -> None:
    import torch

    gc.collect()
    if network.device.type == "cuda":
        torch.cuda.empty_cache()
    counters.add(out_of_memory_retries=1)
