"""Greedy search: the most probable token at every step. Each row of a slot is one reply and ends on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dialoeval.generation import stopping
from dialoeval.generation.engines.fast.strategy import Picker
from dialoeval.generation.types import TokenReply

if TYPE_CHECKING:
    import torch

    from dialoeval.config import DecodingConfig
    from dialoeval.generation.engines.fast.job import Settings


class GreedySearch(Picker):
    """Greedy search with one row per slot. A subclass may change the rows and the choice of a token."""

    def __init__(self, slots: int, longest_prompt: int, decoding: DecodingConfig, settings: Settings, seed: int):
        import torch

        super().__init__(slots, longest_prompt, decoding, settings, seed)
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
        """Return the numbers of the rows that have not ended, or None for all."""
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
        """Return one reply per row."""
        return [
            self.reply(slot, row, self.tokens[slot, row, : self.counts[slot, row]], self.logprobs[slot, row])
            for row in range(self.rows)
        ]

    def choose(self, scores: torch.Tensor, slots: torch.Tensor, rows: torch.Tensor, repeats: int) -> torch.Tensor:
        """Return the next tokens (n,) of rows (n,) in slots (n,); row i reads scores[i // repeats]."""
        return scores.argmax(dim=-1)

    def _step(self, low: int, rows: torch.Tensor, logits: torch.Tensor, repeats: int = 1) -> None:
        """Add a token to each of `rows` (numbered from slot `low`); row i reads logits[i // repeats]."""
        import torch

        slots, within = rows // self.rows + low, rows % self.rows
        tokens = self.choose(self.penalised(logits, low, rows[::repeats]), slots, within, repeats)
        source = torch.arange(len(rows), device=logits.device) // repeats
        logprobs = logits.log_softmax(dim=-1)[source, tokens].cpu()
        tokens = tokens.cpu()
        live = ~self.done[slots, within]  # `rows` may contain ended rows
        slots, within, tokens, logprobs = slots[live], within[live], tokens[live], logprobs[live]
        step = self.steps[slots]
        self.tokens[slots, within, step] = tokens
        self.counts[slots, within] += 1
        self.logprobs[slots, within] += logprobs.double()
        self.done[slots, within] = torch.isin(tokens, self.eos_ids) | (step + 1 == self.limits[slots])
        if self.decoding.stop:
            for slot, row in zip(slots.tolist(), within.tolist(), strict=True):
                reply = self.tokens[slot, row, : self.counts[slot, row]].tolist()
                self.done[slot, row] |= stopping.ends(reply, self.settings.tokenizer, self.decoding.stop)
