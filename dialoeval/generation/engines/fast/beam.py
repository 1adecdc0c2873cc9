"""Beam search with the rules of transformers 5 (`GenerationMixin._beam_search`), one context a slot.

Differences in its rules from the textbook, kept on purpose: 2W candidates are drawn of which only the first W may
finish; a finished beam's score is its sum of log-probabilities over (generated length, end token counted) **
length_penalty; and a slot is over when the best running beam can no longer beat the worst finished one, judged by
`early_stopping`. What cannot be chosen gets -1e9 added instead of a mask, as there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dialoeval.generation import processors
from dialoeval.generation.engines.fast.strategy import Picker
from dialoeval.generation.engines.fast.topk import best
from dialoeval.generation.types import TokenReply

if TYPE_CHECKING:
    import torch

    from dialoeval.config import DecodingConfig

_NEVER = -1.0e9


class BeamSearch(Picker):
    """W running beams and the W best finished ones, a slot."""

    def __init__(self, slots: int, longest_prompt: int, decoding: DecodingConfig, eos_id: int, seed: int):
        import torch

        super().__init__(slots, longest_prompt, decoding, eos_id, seed)
        beams = (slots, self.rows)
        self.scores = torch.zeros(beams)  # of running beams: sums of processed log-probabilities
        self.raw = torch.zeros(beams)  # the same without processors
        self.finished_tokens = torch.zeros_like(self.tokens)
        self.finished_counts = torch.zeros(beams, dtype=torch.long)
        self.finished_scores = torch.zeros(beams)
        self.finished_raw = torch.zeros(beams)
        self.finished = torch.zeros(beams, dtype=torch.bool)
        self.improvable = torch.zeros(slots, dtype=torch.bool)
        self.over = torch.zeros(slots, dtype=torch.bool)

    @classmethod
    def width(cls, decoding: DecodingConfig) -> int:
        """Return the number of beams."""
        return decoding.num_beams

    @classmethod
    def supports(cls, decoding: DecodingConfig, vocabulary: int) -> str | None:
        """Return None, or one sentence on the setting that beam search cannot have."""
        if decoding.num_beams < 2:
            return "beam decoding needs num_beams of at least 2"
        if 2 * decoding.num_beams > vocabulary:
            return f"{decoding.num_beams} beams are too many for a vocabulary of {vocabulary}"
        if decoding.early_stopping not in (True, False, "never"):
            return f"early_stopping is true, false or 'never', not {decoding.early_stopping!r}"
        return super().supports(decoding, vocabulary)

    def begin(self, low: int, high: int, logits: torch.Tensor) -> None:
        """Choose the first tokens: all beams are one beam yet."""
        self.scores[low:high] = self.raw[low:high] = 0.0
        self.finished_scores[low:high] = _NEVER
        self.finished[low:high], self.improvable[low:high], self.over[low:high] = False, True, False
        self._extend(low, high, 1, logits)

    def active(self, count: int) -> None:
        """Return None: all beams of a slot go on until it ends."""

    def advance(self, count: int, rows: torch.Tensor | None, logits: torch.Tensor) -> torch.Tensor:
        """Choose the next tokens and the beam that each one continues."""
        return self._extend(0, count, self.rows, logits)

    def ended(self, count: int) -> list[int]:
        """Return the slots whose best finished beam no running one can beat."""
        slots: list[int] = self.over[:count].nonzero()[:, 0].tolist()
        return slots

    def replies(self, slot: int) -> list[TokenReply]:
        """Return the best finished beam."""
        tokens = self.finished_tokens[slot, 0, : self.finished_counts[slot, 0]]
        return [self.reply(slot, 0, tokens, self.finished_raw[slot, 0])]

    def _extend(self, low: int, high: int, beams: int, logits: torch.Tensor) -> torch.Tensor:
        """Step slots low..high-1 by logits ((high - low) * beams, vocabulary); return the parents (slots, W)."""
        count, width = high - low, 2 * self.rows
        values, raw, ids = self._candidates(low, count, beams, logits)  # (slots, beams * 2W)
        values = (values.view(count, beams, width) + self.scores[low:high, :beams, None]).flatten(1)
        raw = (raw.view(count, beams, width) + self.raw[low:high, :beams, None]).flatten(1)
        values, at = values.topk(width, dim=1)  # the 2W candidates, best first
        raw, chosen, parents = raw.gather(1, at), ids.gather(1, at), at // width

        steps = self.steps[low:high]
        sequences = _pick(self.tokens[low:high], parents)  # (slots, 2W, longest)
        sequences.scatter_(2, steps[:, None, None].expand(-1, width, 1), chosen[..., None])
        self.steps[low:high] = steps + 1
        hits = (chosen == self.eos_id) | (self.steps[low:high] == self.limits[low:high])[:, None]

        self._finish(low, high, sequences, values, raw, hits)
        running = values + hits * _NEVER
        following = running.topk(self.rows, dim=1).indices
        self.tokens[low:high] = _pick(sequences, following)
        self.scores[low:high], self.raw[low:high] = running.gather(1, following), raw.gather(1, following)
        self._judge(low, high, hits)
        return parents.gather(1, following)

    def _candidates(
        self, low: int, count: int, beams: int, logits: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return each beam's 2W best tokens as processed and raw log-probabilities and ids.

        Returns:
            Three tensors (slots, beams * 2W), on the host.
        """
        import torch

        logprobs = logits.log_softmax(dim=-1)
        rows = torch.arange(count * beams) * (self.rows // beams)
        values, ids = best(self.penalised(logprobs, low, rows), 2 * self.rows)
        raw = logprobs.gather(1, ids) if processors.penalises(self.decoding) else values
        return values.cpu().view(count, -1), raw.cpu().view(count, -1), ids.cpu().view(count, -1)

    def _finish(
        self, low: int, high: int, sequences: torch.Tensor, values: torch.Tensor, raw: torch.Tensor, hits: torch.Tensor
    ) -> None:
        """Keep the W best of the finished beams and the candidates that just finished."""
        import torch

        steps, finished = self.steps[low:high], self.finished[low:high]
        just = hits.clone()
        just[:, self.rows :] = False
        scores = values / self._penalty(steps)[:, None]
        full = finished.all(dim=1) & (self.decoding.early_stopping is True)
        scores = scores + full[:, None] * _NEVER + ~self.improvable[low:high, None] * _NEVER + ~just * _NEVER
        scores, best_ones = torch.cat((self.finished_scores[low:high], scores), dim=1).topk(self.rows, dim=1)
        counts = steps[:, None].expand_as(values)
        self.finished_scores[low:high] = scores
        self.finished_tokens[low:high] = _pick(torch.cat((self.finished_tokens[low:high], sequences), dim=1), best_ones)
        self.finished_counts[low:high] = torch.cat((self.finished_counts[low:high], counts), dim=1).gather(1, best_ones)
        self.finished_raw[low:high] = torch.cat((self.finished_raw[low:high], raw), dim=1).gather(1, best_ones)
        self.finished[low:high] = torch.cat((finished, just), dim=1).gather(1, best_ones)

    def _judge(self, low: int, high: int, hits: torch.Tensor) -> None:
        """Mark the slots that are over."""
        import torch

        finished, early = self.finished[low:high], self.decoding.early_stopping
        optimistic = early == "never" and self.decoding.length_penalty > 0.0
        hypothetical = self._penalty(self.limits[low:high] if optimistic else self.steps[low:high])
        best_running = self.scores[low:high, 0] / hypothetical
        worst_finished = self.finished_scores[low:high].amin(dim=1, keepdim=True)
        worst_finished = torch.where(finished, worst_finished, _NEVER)
        self.improvable[low:high] &= (best_running[:, None] > worst_finished).any(dim=1)
        complete = finished.all(dim=1) & (early is True)
        self.over[low:high] = ~self.improvable[low:high] | complete | hits.all(dim=1)

    def _penalty(self, lengths: torch.Tensor) -> torch.Tensor:
        """Return the (slots,) float32 divisors of the sums of log-probabilities."""
        import torch

        return torch.tensor([length**self.decoding.length_penalty for length in lengths.tolist()])


def _pick(beams: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Return beams (slots, n, longest) at index (slots, m): (slots, m, longest)."""
    return beams.gather(1, index[..., None].expand(-1, -1, beams.shape[2]))
