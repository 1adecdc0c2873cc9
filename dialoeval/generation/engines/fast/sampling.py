"""Greedy search and sampling: each row of a slot is a reply of its own and ends by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dialoeval.config.schema import Strategy
from dialoeval.generation import processors, rng
from dialoeval.generation.engines.fast.strategy import Picker
from dialoeval.generation.engines.fast.topk import best
from dialoeval.generation.types import TokenReply

if TYPE_CHECKING:
    import torch

    from dialoeval.config import DecodingConfig


class Sampler(Picker):
    """One row a candidate; greedy search has one row."""

    def __init__(self, slots: int, longest_prompt: int, decoding: DecodingConfig, eos_id: int, seed: int):
        import torch

        self.draws = decoding.strategy == Strategy.sample
        super().__init__(slots, decoding.num_candidates if self.draws else 1, longest_prompt, decoding, eos_id)
        self.seed = seed
        self.keys: list[int] = [0] * slots
        self.counts = torch.zeros(slots, self.rows, dtype=torch.long)  # tokens generated, the end token included
        self.done = torch.zeros(slots, self.rows, dtype=torch.bool)
        self.logprobs = torch.zeros(slots, self.rows, dtype=torch.double)

    def begin(self, low: int, high: int, logits: torch.Tensor) -> None:
        import torch

        self.counts[low:high], self.done[low:high], self.logprobs[low:high] = 0, False, 0.0
        for slot in range(low, high):
            self.keys[slot] = rng.key(self.seed, self.requests[slot].example_id)
        # Candidates start from one distribution: it is filtered once, whatever their number.
        self._choose(low, torch.arange((high - low) * self.rows), logits, repeats=self.rows)
        self.steps[low:high] += 1

    def active(self, count: int) -> torch.Tensor | None:
        done = self.done[:count]
        return (~done).view(-1).nonzero()[:, 0] if bool(done.any()) else None

    def advance(self, count: int, rows: torch.Tensor | None, logits: torch.Tensor) -> None:
        import torch

        self._choose(0, torch.arange(count * self.rows) if rows is None else rows, logits)
        self.steps[:count] += 1

    def ended(self, count: int) -> list[int]:
        return self.done[:count].all(dim=1).nonzero()[:, 0].tolist()

    def replies(self, slot: int) -> list[TokenReply]:
        request = self.requests[slot]
        replies = []
        for sample in range(self.rows):
            tokens = self.tokens[slot, sample, : self.counts[slot, sample]].tolist()
            stopped = tokens[-1] == self.eos_id
            logprob = float(self.logprobs[slot, sample])
            ids = tuple(tokens[:-1] if stopped else tokens)
            replies.append(TokenReply(request.example_id, sample, ids, logprob, "stop" if stopped else "length"))
        return replies

    def move(self, source: int, target: int) -> None:
        super().move(source, target)
        self.keys[target] = self.keys[source]

    def _choose(self, low: int, rows: torch.Tensor, logits: torch.Tensor, repeats: int = 1) -> None:
        """Choose a token for each of `rows` (numbered from slot `low`); row i reads logits[i // repeats]."""
        import torch

        scores = self.penalised(logits, low, rows[::repeats])
        if self.draws:
            scores, ids = self._filtered(scores)
            slots, samples = rows // self.rows + low, rows % self.rows
            keys = [self.keys[slot] for slot in slots.tolist()]
            draws = torch.from_numpy(rng.uniforms(keys, samples.numpy(), self.steps[slots].numpy()))
            scores = scores.repeat_interleave(repeats, dim=0)
            chosen = rng.choose(scores, draws.to(scores.device))
            if ids is not None:
                chosen = ids.repeat_interleave(repeats, dim=0).gather(1, chosen[:, None])[:, 0]
        else:
            chosen = scores.argmax(dim=-1)
        source = torch.arange(len(rows), device=logits.device) // repeats
        logprobs = logits.log_softmax(dim=-1)[source, chosen]
        self._record(low, rows, chosen.cpu(), logprobs.cpu())

    def _filtered(self, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Scores after the filters and the token ids of their columns, ascending; None: column i is token i."""
        k = self.decoding.top_k
        if 0 < k < scores.shape[-1]:
            if self.decoding.temperature != 1.0:
                scores = scores / self.decoding.temperature
            values, ids = best(scores, k + 1)
            if bool((values[:, k - 1] > values[:, k]).all()):  # else tokens tie with the k-th, and all of them stay
                ids, order = ids[:, :k].sort(dim=-1)
                return processors.narrow(values[:, :k].gather(1, order), self.decoding), ids
            return processors.narrow(processors.top_k(scores, k), self.decoding), None
        return processors.warp(scores, self.decoding), None

    def _record(self, low: int, rows: torch.Tensor, chosen: torch.Tensor, logprobs: torch.Tensor) -> None:
        slots, samples = rows // self.rows + low, rows % self.rows
        live = ~self.done[slots, samples]  # without compaction of rows, ended ones are computed for nothing
        slots, samples, chosen, logprobs = slots[live], samples[live], chosen[live], logprobs[live]
        step = self.steps[slots]
        self.tokens[slots, samples, step] = chosen
        self.counts[slots, samples] += 1
        self.logprobs[slots, samples] += logprobs.double()
        self.done[slots, samples] = (chosen == self.eos_id) | (step + 1 == self.limits[slots])
