"""Sampling with keyed draws (see `generation.rng`); each row of a slot is a candidate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dialoeval.generation import processors, rng
from dialoeval.generation.engines.fast.greedy import GreedySearch
from dialoeval.generation.engines.fast.topk import best

if TYPE_CHECKING:
    import torch

    from dialoeval.config import DecodingConfig
    from dialoeval.generation.engines.fast.job import Settings


class Sampling(GreedySearch):
    """Sampling, with one row per candidate."""

    def __init__(self, slots: int, longest_prompt: int, decoding: DecodingConfig, settings: Settings, seed: int):
        super().__init__(slots, longest_prompt, decoding, settings, seed)
        self.keys = [0] * slots  # keys of the draws, by slot

    @classmethod
    def width(cls, decoding: DecodingConfig) -> int:
        """Return the number of candidates."""
        return decoding.num_candidates

    @classmethod
    def spread(cls, decoding: DecodingConfig) -> int:
        """Return 2 for several candidates, which end one by one, so that slots are half empty on average."""
        return 2 if decoding.num_candidates > 1 else 1

    @classmethod
    def supports(cls, decoding: DecodingConfig, vocabulary: int, ends: int = 1) -> None:
        """Return None: every setting of sampling is supported."""

    def begin(self, low: int, high: int, logits: torch.Tensor) -> None:
        """Choose the first tokens; all candidates of a slot share one distribution, which is filtered once."""
        for slot in range(low, high):
            self.keys[slot] = rng.key(self.seed, self.requests[slot].example_id)
        super().begin(low, high, logits)

    def move(self, source: int, target: int) -> None:
        """Copy slot `source` over slot `target`."""
        super().move(source, target)
        self.keys[target] = self.keys[source]

    def choose(self, scores: torch.Tensor, slots: torch.Tensor, rows: torch.Tensor, repeats: int) -> torch.Tensor:
        """Draw one token per row; scores that several rows read are filtered once."""
        import torch

        scores, ids = self._filtered(scores)
        keys = [self.keys[slot] for slot in slots.tolist()]
        draws = torch.from_numpy(rng.uniforms(keys, rows.numpy(), self.steps[slots].numpy()))
        columns = rng.choose(scores.repeat_interleave(repeats, dim=0), draws.to(scores.device))
        return columns if ids is None else ids.repeat_interleave(repeats, dim=0).gather(1, columns[:, None])[:, 0]

    def _filtered(self, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return filtered scores and the token ids of their columns, ascending, or None if column i is token i."""
        k = self.decoding.top_k
        if 0 < k < scores.shape[-1]:
            if self.decoding.temperature != 1.0:
                scores = scores / self.decoding.temperature
            values, ids = best(scores, k + 1)
            if bool((values[:, k - 1] > values[:, k]).all()):  # else tokens tie with the k-th, which top-k keeps
                ids, order = ids[:, :k].sort(dim=-1)
                return processors.narrow(values[:, :k].gather(1, order), self.decoding), ids
            return processors.narrow(processors.top_k(scores, k), self.decoding), None
        return processors.warp(scores, self.decoding), None
