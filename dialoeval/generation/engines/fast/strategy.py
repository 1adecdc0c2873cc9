"""What the strategies share: the state of the slots' sequences, kept on the host, and the penalties that need it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dialoeval.generation import processors
from dialoeval.generation.types import TokenReply, TokenRequest

if TYPE_CHECKING:
    import torch

    from dialoeval.config import DecodingConfig


class Picker(ABC):
    """Chooses the next tokens of the sequences in the slots, `rows` a slot, and tells which slots have ended.

    Attributes:
        tokens: (slots, rows, longest) generated tokens.
        steps: (slots,) tokens that each row of a slot has generated.
        lengths: (slots,) prompt lengths.
        limits: (slots,) tokens a row may generate, at least 1.
    """

    def __init__(self, slots: int, rows: int, longest_prompt: int, decoding: DecodingConfig, eos_id: int):
        import torch

        self.rows, self.decoding, self.eos_id = rows, decoding, eos_id
        self.requests: list[TokenRequest | None] = [None] * slots
        self.prompts = torch.zeros(slots, longest_prompt, dtype=torch.long)
        self.lengths = torch.zeros(slots, dtype=torch.long)
        self.steps = torch.zeros(slots, dtype=torch.long)
        self.limits = torch.zeros(slots, dtype=torch.long)
        self.tokens = torch.zeros(slots, rows, max(1, decoding.max_new_tokens), dtype=torch.long)

    def admit(self, first: int, requests: Sequence[TokenRequest], limits: Sequence[int], logits: torch.Tensor) -> None:
        """Put requests into the slots from `first` on; choose their first tokens from logits (requests, vocabulary)."""
        import torch

        for slot, (request, limit) in enumerate(zip(requests, limits, strict=True), first):
            self.requests[slot] = request
            self.prompts[slot, : len(request.token_ids)] = torch.tensor(request.token_ids)
            self.lengths[slot], self.limits[slot], self.steps[slot] = len(request.token_ids), limit, 0
        self.begin(first, first + len(requests), logits)

    def inputs(self, count: int) -> torch.Tensor:
        """(count, rows) the last token of every row of the first slots."""
        index = (self.steps[:count] - 1)[:, None, None].expand(-1, self.rows, 1)
        return self.tokens[:count].gather(2, index)[..., 0]

    def move(self, source: int, target: int) -> None:
        """Copy all of slot `source` over slot `target`."""
        import torch

        self.requests[target] = self.requests[source]
        for state in vars(self).values():
            if isinstance(state, torch.Tensor):
                state[target] = state[source]

    def penalised(self, scores: torch.Tensor, low: int, rows: torch.Tensor) -> torch.Tensor:
        """Scores (n, vocabulary) after the penalties; rows (n,) are numbered slot * self.rows + row from slot `low`."""
        if not processors.penalises(self.decoding):
            return scores
        slots = rows // self.rows + low
        tokens = self._sequences(slots, rows % self.rows).to(scores.device)
        new = self.steps[slots]
        lengths = (self.lengths[slots] + new).to(scores.device)
        return processors.penalise(scores, tokens, lengths, new.to(scores.device), self.eos_id, self.decoding)

    def _sequences(self, slots: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """(n, width) prompt and generated tokens of the rows, right-padded."""
        import torch

        room = self.prompts.shape[1]
        both = torch.cat((self.prompts[slots], self.tokens[slots, rows]), dim=1)
        at = torch.arange(int((self.lengths[slots] + self.steps[slots]).max())).expand(len(slots), -1)
        length = self.lengths[slots, None]
        return both.gather(1, torch.where(at < length, at, at - length + room).clamp(max=both.shape[1] - 1))

    @abstractmethod
    def begin(self, low: int, high: int, logits: torch.Tensor) -> None:
        """Choose the first tokens of slots low..high-1 from their prompts' logits (high - low, vocabulary)."""

    @abstractmethod
    def active(self, count: int) -> torch.Tensor | None:
        """Numbers (slot * rows + row) of the rows of the first slots still to be continued; None: all."""

    @abstractmethod
    def advance(self, count: int, rows: torch.Tensor | None, logits: torch.Tensor) -> torch.Tensor | None:
        """Choose the next tokens of the first slots from the logits of `rows`; parents (count, rows) if reordered."""

    @abstractmethod
    def ended(self, count: int) -> list[int]:
        """The ended ones of the first slots, ascending."""

    @abstractmethod
    def replies(self, slot: int) -> list[TokenReply]:
        """What an ended slot has to say."""
