"""Generation and scoring in one process, with recovery from out-of-memory errors by smaller batches."""

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
    """Yield the replies to all requests of `feed`.

    An out-of-memory error halves the plan and restarts the requests in flight. A reply depends only on its own request,
    so a restart does not change it.
    """
    picker = decode.picker_class(job.decoding)
    rows = picker.width(job.decoding)
    capacity = job.longest_prompt + rows * job.decoding.max_new_tokens
    plan = memory.plan(network, settings.engine, rows, capacity * picker.spread(job.decoding), job.processes)
    plan = replace(plan, rows=max(rows, min(plan.rows, job.share * rows)))
    unanswered: dict[str, TokenRequest] = {}
    restarts: deque[TokenRequest] = deque()

    def tracked_feed(count: int) -> Sequence[TokenRequest]:
        requests = [restarts.popleft() for _ in range(min(count, len(restarts)))] or feed(count)
        unanswered.update((request.example_id, request) for request in requests)
        return requests

    def attempt() -> Iterator[TokenReply]:
        decoder = decode.Decoder(network, settings, job, plan, counters)
        for reply in decoder.run(tracked_feed):
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
        restarts.extend(unanswered.values())
        unanswered.clear()
        _recover(network, counters)


def score(network: Network, pairs: Sequence[scoring.Pair], counters: Counters) -> list[float]:
    """Return the scores of one batch of pairs, which is halved until it fits the memory."""
    try:
        return scoring.score(network, pairs, counters)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        if len(pairs) == 1:
            raise UserError("out of memory while scoring a single pair: use a smaller model or bf16") from error
    _recover(network, counters)
    middle = len(pairs) // 2
    return score(network, pairs[:middle], counters) + score(network, pairs[middle:], counters)


def _recover(network: Network, counters: Counters) -> None:
    import torch

    gc.collect()
    if network.device.type == "cuda":
        torch.cuda.empty_cache()
    counters.add(out_of_memory_retries=1)
