"""The decoding loop: prompts enter free slots, every step adds a token to each row, ended slots are refilled.

The slots in use are always the first ones: when one ends, the last one replaces it. So a step never computes empty
slots and needs no mask over slots.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from dialoeval.config.schema import Strategy
from dialoeval.generation.engines.fast.beam import BeamSearch
from dialoeval.generation.engines.fast.cache import Cache
from dialoeval.generation.engines.fast.greedy import GreedySearch
from dialoeval.generation.engines.fast.job import Job, Settings, reply_limit
from dialoeval.generation.engines.fast.sampling import Sampling
from dialoeval.generation.engines.fast.stepper import GraphStepper, Stepper
from dialoeval.generation.types import TokenReply, TokenRequest

if TYPE_CHECKING:
    import torch

    from dialoeval.config import DecodingConfig
    from dialoeval.generation.engines.fast.counters import Counters
    from dialoeval.generation.engines.fast.memory import Plan
    from dialoeval.generation.engines.fast.network import Network
    from dialoeval.generation.engines.fast.strategy import Picker

Feed = Callable[[int], Sequence[TokenRequest]]  # returns up to n more requests, or an empty sequence at the end

PICKERS: dict[Strategy, type[Picker]] = {
    Strategy.greedy: GreedySearch,
    Strategy.beam: BeamSearch,
    Strategy.sample: Sampling,
}


def picker_class(decoding: DecodingConfig) -> type[Picker]:
    """Return the search strategy of a decoding."""
    return PICKERS[Strategy(decoding.strategy)]


class Decoder:
    """The decoding loop of one job with one network, within the limits of a plan."""

    def __init__(self, network: Network, settings: Settings, job: Job, plan: Plan, counters: Counters):
        import torch

        self.network, self.window, self.plan, self.counters = network, settings.window, plan, counters
        self.decoding, self.hear = job.decoding, job.hear
        picker = picker_class(job.decoding)
        rows = picker.width(job.decoding)
        self.slots = max(1, plan.rows // rows) * picker.spread(job.decoding)
        self.picker = picker(self.slots, job.longest_prompt, job.decoding, settings, job.seed)
        self.cache = Cache(network, self.slots, rows, job.longest_prompt + rows * job.decoding.max_new_tokens)
        cuda = network.device.type == "cuda"
        self.step = (GraphStepper if cuda else Stepper)(network, self.cache)
        self.used = 0
        self.row_numbers = torch.arange(rows)

    def run(self, feed: Feed) -> Iterator[TokenReply]:
        """Yield the replies to all requests of `feed`."""
        more = True
        while more or self.used:
            if more and (room := self._room()):
                requests = feed(room)
                more = bool(requests)
                for chunk in self._chunks(requests):
                    self._prefill(chunk)
                self._tell()
                yield from self._retire()
            elif self.used:
                self._advance()
                self._tell()
                yield from self._retire()

    def _room(self) -> int:
        """Return the number of requests to start: 0 until a quarter of the rows is free, so that prefills are large."""
        rows = self.cache.rows
        active = self.picker.active(self.used)
        busy = self.used * rows if active is None else len(active)
        free = min((self.plan.rows - busy) // rows, self.slots - self.used)
        return free if not self.used or free * rows * 4 >= self.plan.rows else 0

    def _chunks(self, requests: Sequence[TokenRequest]) -> Iterator[list[TokenRequest]]:
        """Yield chunks of requests of similar length whose padded tokens fit the plan, at least one per chunk."""
        chunk: list[TokenRequest] = []
        for request in sorted(requests, key=lambda request: len(request.token_ids)):
            if chunk and (len(chunk) + 1) * len(request.token_ids) > self.plan.tokens:
                yield chunk
                chunk = []
            chunk.append(request)
        if chunk:
            yield chunk

    def _prefill(self, requests: list[TokenRequest]) -> None:
        """Compute right-padded prompts in the next free slots, and choose their first tokens."""
        started = time.perf_counter()
        device = self.network.device
        tokens, lengths = pad([request.token_ids for request in requests])
        count, longest = tokens.shape
        tokens, lengths = tokens.to(device), lengths.to(device)
        positions = _range(longest, device).repeat(count)
        attend = self.cache.prefill(self.used, lengths, longest)
        ends = _range(count, device) * longest + lengths - 1
        last = self.network.hidden(tokens.view(-1), positions, attend, ends)  # (prompts, width)
        limits = [reply_limit(request, self.decoding, self.window) for request in requests]
        self.picker.admit(self.used, requests, limits, self.network.logits(last))
        self.used += count
        real = sum(len(request.token_ids) for request in requests)
        self.counters.add(prompt_tokens=real, padding_tokens=count * longest - real)
        self.counters.add(prefill_seconds=time.perf_counter() - started)

    def _advance(self) -> None:
        """Add a token to every active row."""
        started = time.perf_counter()
        count, picker, device = self.used, self.picker, self.network.device
        age = picker.steps[:count, None] - 1  # of the last token, whose key and value are not yet in the cache
        positions = (picker.lengths[:count, None] + age).expand(-1, self.cache.rows)
        offsets = picker.lengths[:count, None] + age * self.cache.rows + self.row_numbers
        rows = picker.active(count)
        extent = int(offsets[:, -1].max()) + 1
        logits = self.step(picker.inputs(count), positions, offsets, extent, rows)
        parents = picker.advance(count, rows, logits)
        if parents is not None:
            self.cache.reorder(parents.to(device))
        computed = count * self.cache.rows if rows is None else len(rows)
        self.counters.add(steps=1, step_rows=computed, step_room=max(self.plan.rows, computed))
        self.counters.add(decode_seconds=time.perf_counter() - started)

    def _tell(self) -> None:
        """Tell the tokens of the only reply so far, if somebody listens."""
        if self.hear is not None and self.used:
            tokens = self.picker.tokens[0, 0, : int(self.picker.steps[0])]
            self.hear([token for token in tokens.tolist() if token not in self.picker.eos_ids])

    def _retire(self) -> Iterator[TokenReply]:
        """Yield the replies of ended slots, and move the last slots into the gaps."""
        for slot in reversed(self.picker.ended(self.used)):
            replies = self.picker.replies(slot)
            self.used -= 1
            if slot != self.used:
                steps = int(self.picker.steps[self.used]) - 1
                extent = int(self.picker.lengths[self.used]) + steps * self.cache.rows
                self.cache.move(self.used, slot, extent)
                self.picker.move(self.used, slot)
            self.counters.add(replies=len(replies), reply_tokens=sum(len(reply.token_ids) for reply in replies))
            yield from replies


def pad(sequences: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return right-padded tokens (sequences, longest) and lengths (sequences,), on the host."""
    import torch

    lengths = torch.tensor([len(sequence) for sequence in sequences])
    tokens = torch.zeros(len(sequences), int(lengths.max()), dtype=torch.long)
    for row, sequence in zip(tokens, sequences, strict=True):
        row[: len(sequence)] = torch.tensor(sequence)
    return tokens, lengths


def _range(count: int, device: torch.device) -> torch.Tensor:
    import torch

    return torch.arange(count, device=device)
