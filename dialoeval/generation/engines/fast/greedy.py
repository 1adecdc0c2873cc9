"""Greedy search: the most probable token at every step. Each row of a slot is a reply of its own and ends by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dialoeval.generation.engines.fast.strategy import Picker
from dialoeval.generation.types import TokenReply

if TYPE_CHECKING:
    import torch

    from dialoeval.config import DecodingConfig


class GreedySearch(Picker):
    """One row a slot, which a subclass may change with how a token is chosen."""

    def __init__(self, slots: int, longest_prompt: int, decoding: DecodingConfig, eos_id: int, seed: int):
        import torch

        super().__init__(slots, longest_prompt, decoding, eos_id, seed)
        self.counts = torch.zeros(slots, self.rows, dtype=torch.long)  # tokens generated, the end token included
        self.done = torch.zeros(slots, self.rows, dtype=torch.bool)
        self.logprobs = torch.zeros(slots, self.rows, dtype=torch.double)

    def begin(self, low: int, high: int, logits: torch.Tensor) -> None:
        """Choose the first tokens; all rows of a slot start from one distribution."""
        import torch

        self.counts[low:high], self.done[low:high], self.logprobs[low:high] = 0, False, 0.0
        self._step(low, torch.arange((high - low) * self.rows), logits, repeats=self.rows)
        self.steps[low:high] += 1

    def active(self, count: int) -> torch.Tensor | None:
        """Return the numbers of the rows that have not ended; None: all."""
        done = self.done[:count]
        return (~done).view(-1).nonzero()[:, 0] if bool(done.any()) else None

    def advance(self, count: int, rows: torch.Tensor | None, logits: torch.Tensor) -> None:
        """Choose the next tokens; every row continues itself."""
        import torch

        self._step(0, torch.arange(count * self.rows) if rows is None else rows, logits)
        self.steps[:count] += 1

    def ended(self, count: int) -> list[int]:
        """Return the slots whose rows have all ended."""
        slots: list[int] = self.done[:count].all(dim=1).nonzero()[:, 0].tolist()
        return slots

    def replies(self, slot: int) -> list[TokenReply]:
        """Return a reply a row."""
        return [
            self.reply(slot, row, self.tokens[slot, row, : self.counts[slot, row]], self.logprobs[slot, row])
            for row in range(self.rows)
        ]

    def choose(self, scores: torch.Tensor, slots: torch.Tensor, rows: torch.Tensor, repeats: int) -> torch.Tensor:
        """Return (n,) the tokens that continue rows (n,) of slots (n,); row i reads scores[i // repeats]."""
        return scores.argmax(dim=-1)

    def _step(self, low: int, rows: torch.Tensor, logits: torch.Tensor, repeats: int = 1) -> None:
        """Add a token to each of `rows` (numbered from slot `low`); row i reads logits[i // repeats]."""
        import torch

        slots, within = rows // self.rows + low, rows % self.rows
        chosen = self.choose(self.penalised(logits, low, rows[::repeats]), slots, within, repeats)
        source = torch.arange(len(rows), device=logits.device) // repeats
        logprobs = logits.log_softmax(dim=-1)[source, chosen].cpu()
        chosen = chosen.cpu()
        live = ~self.done[slots, within]  # without compaction of rows, ended ones are computed for nothing
        slots, within, chosen, logprobs = slots[live], within[live], chosen[live], logprobs[live]
        step = self.steps[slots]
        self.tokens[slots, within, step] = chosen
        self.counts[slots, within] += 1
        self.logprobs[slots, within] += logprobs.double()
        self.done[slots, within] = (chosen == self.eos_id) | (step + 1 == self.limits[slots])
