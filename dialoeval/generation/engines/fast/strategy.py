"""The base class of the search strategies: the state of the slots' sequences, on the host, and the penalties.

A strategy is a `Picker` in its own module, listed in `decode.PICKERS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dialoeval.generation import processors
from dialoeval.generation.types import TokenReply, TokenRequest

if TYPE_CHECKING:
    import torch

    from dialoeval.config import DecodingConfig
    from dialoeval.generation.engines.fast.job import Settings


class Picker(ABC):
    """A search strategy, which chooses the next tokens of the sequences in the slots.

    Attributes:
        rows: sequences per slot: `width` of the decoding.
        requests: the requests by slot.
        prompts: (slots, longest_prompt) right-padded prompts.
        tokens: (slots, rows, longest) generated tokens.
        steps: (slots,) number of tokens that each row has generated.
        lengths: (slots,) prompt lengths.
        limits: (slots,) number of tokens that a row may generate, at least 1.
    """

    def __init__(self, slots: int, longest_prompt: int, decoding: DecodingConfig, settings: Settings, seed: int):
        import torch

        self.rows, self.decoding, self.settings, self.seed = self.width(decoding), decoding, settings, seed
        self.eos_ids = torch.tensor(settings.eos_ids)
        self.requests: dict[int, TokenRequest] = {}
        self.prompts = torch.zeros(slots, longest_prompt, dtype=torch.long)
        self.lengths = torch.zeros(slots, dtype=torch.long)
        self.steps = torch.zeros(slots, dtype=torch.long)
        self.limits = torch.zeros(slots, dtype=torch.long)
        self.tokens = torch.zeros(slots, self.rows, max(1, decoding.max_new_tokens), dtype=torch.long)

    @classmethod
    def width(cls, decoding: DecodingConfig) -> int:
        """Return the number of rows per slot."""
        return 1

    @classmethod
    def spread(cls, decoding: DecodingConfig) -> int:
        """Return the number of slots to open per slot of the plan: above 1 if a slot's rows end one by one."""
        return 1

    @classmethod
    def supports(cls, decoding: DecodingConfig, vocabulary: int, ends: int = 1) -> str | None:
        """Return None if the strategy supports the decoding, else the reason in one sentence.

        Args:
            decoding: the settings.
            vocabulary: number of tokens.
            ends: number of end tokens.
        """
        if decoding.num_candidates > 1:
            return f"{decoding.strategy} decoding returns one candidate, not {decoding.num_candidates}"
        return None

    def admit(self, first: int, requests: Sequence[TokenRequest], limits: Sequence[int], logits: torch.Tensor) -> None:
        """Put requests into the slots from `first` on, and choose their first tokens.

        Args:
            first: slot of the first request.
            requests: one per slot.
            limits: number of tokens that each reply may have.
            logits: (requests, vocabulary) after the prompts.
        """
        import torch

        for slot, (request, limit) in enumerate(zip(requests, limits, strict=True), first):
            self.requests[slot] = request
            self.prompts[slot, : len(request.token_ids)] = torch.tensor(request.token_ids)
            self.lengths[slot], self.limits[slot], self.steps[slot] = len(request.token_ids), limit, 0
        self.begin(first, first + len(requests), logits)

    def inputs(self, count: int) -> torch.Tensor:
        """Return the last tokens (count, rows) of the first `count` slots."""
        index = (self.steps[:count] - 1)[:, None, None].expand(-1, self.rows, 1)
        return self.tokens[:count].gather(2, index)[..., 0]

    def move(self, source: int, target: int) -> None:
        """Copy slot `source` over slot `target`."""
        import torch

        self.requests[target] = self.requests[source]
        for name, state in vars(self).items():
            if isinstance(state, torch.Tensor) and name != "eos_ids":
                state[target] = state[source]

    def penalised(self, scores: torch.Tensor, low: int, rows: torch.Tensor) -> torch.Tensor:
        """Return scores (n, vocabulary) after the penalties, for rows (n,) numbered from slot `low`."""
        if not processors.penalises(self.decoding):
            return scores
        slots = rows // self.rows + low
        tokens = self._sequences(slots, rows % self.rows).to(scores.device)
        new = self.steps[slots]
        lengths = (self.lengths[slots] + new).to(scores.device)
        return processors.penalise(scores, tokens, lengths, new.to(scores.device), self.settings.eos_ids, self.decoding)

    def reply(self, slot: int, sample: int, tokens: torch.Tensor, logprob: torch.Tensor) -> TokenReply:
        """Return a reply from its tokens (n,), of which the last one may be the end token."""
        ids = tuple(tokens.tolist())
        stopped = ids[-1] in self.settings.eos_ids
        name = self.requests[slot].example_id
        return TokenReply(name, sample, ids[:-1] if stopped else ids, float(logprob), "stop" if stopped else "length")

    def _sequences(self, slots: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Return the prompts and generated tokens (n, width) of the rows, right-padded."""
        import torch

        width = self.prompts.shape[1]
        both = torch.cat((self.prompts[slots], self.tokens[slots, rows]), dim=1)
        column = torch.arange(int((self.lengths[slots] + self.steps[slots]).max())).expand(len(slots), -1)
        length = self.lengths[slots, None]
        source = torch.where(column < length, column, column - length + width)
        return both.gather(1, source.clamp(max=both.shape[1] - 1))

    @abstractmethod
    def begin(self, low: int, high: int, logits: torch.Tensor) -> None:
        """Choose the first tokens of slots low..high-1 from the logits (high - low, vocabulary) of their prompts."""

    @abstractmethod
    def active(self, count: int) -> torch.Tensor | None:
        """Return the numbers (slot * rows + row) of the first slots' running rows, or None for all."""

    @abstractmethod
    def advance(self, count: int, rows: torch.Tensor | None, logits: torch.Tensor) -> torch.Tensor | None:
        """Choose the next tokens of the first slots from the logits of `rows`.

        Returns:
            The parents (count, rows) if rows may continue other rows, else None.
        """

    @abstractmethod
    def ended(self, count: int) -> list[int]:
        """Return the ended slots among the first `count`, ascending."""

    @abstractmethod
    def replies(self, slot: int) -> list[TokenReply]:
        """Return the replies of an ended slot."""
