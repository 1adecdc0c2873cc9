"""Beam search with the rules of transformers 5 (`GenerationMixin._beam_search`), one context per slot.

With beam width W and e end tokens: of the K = max(2, 1 + e) W best continuations only the first W may finish. The
score of a finished beam is its log-probability divided by (generated length, end token included) ** length_penalty. A
slot ends when the best running beam can no longer beat the worst finished one, subject to `early_stopping`. Excluded
candidates get -1e9 added to their score.
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
    from dialoeval.generation.engines.fast.job import Settings

_NEVER = -1.0e9


class BeamSearch(Picker):
    """Beam search: W running beams and the W best finished ones per slot."""

    def __init__(self, slots: int, longest_prompt: int, decoding: DecodingConfig, settings: Settings, seed: int):
        import torch

        super().__init__(slots, longest_prompt, decoding, settings, seed)
        self.kept = _kept(decoding, len(settings.eos_ids))
        beams = (slots, self.rows)
        self.scores = torch.zeros(beams)  # of running beams: log-probabilities after the processors
        self.raw = torch.zeros(beams)  # the same before the processors
        self.finished_tokens = torch.zeros_like(self.tokens)
        self.finished_counts = torch.zeros(beams, dtype=torch.long)
        self.finished_scores = torch.zeros(beams)
        self.finished_raw = torch.zeros(beams)
        self.finished = torch.zeros(beams, dtype=torch.bool)
        self.improvable = torch.zeros(slots, dtype=torch.bool)
        self.over = torch.zeros(slots, dtype=torch.bool)

    @classmethod
    def width(cls, decoding: DecodingConfig) -> int:
        """Return the beam width."""
        return decoding.num_beams

    @classmethod
    def supports(cls, decoding: DecodingConfig, vocabulary: int, ends: int = 1) -> str | None:
        """Return None if beam search supports the decoding, else the reason in one sentence."""
        if decoding.num_beams < 2:
            return "beam decoding needs num_beams of at least 2"
        if _kept(decoding, ends) > vocabulary:
            return f"{decoding.num_beams} beams are too many for a vocabulary of {vocabulary}"
        if decoding.early_stopping not in (True, False, "never"):
            return f"early_stopping must be true, false or 'never', not {decoding.early_stopping!r}"
        return super().supports(decoding, vocabulary)

    def begin(self, low: int, high: int, logits: torch.Tensor) -> None:
        """Choose the first tokens; all beams continue the prompt."""
        self.scores[low:high] = self.raw[low:high] = 0.0
        self.finished_scores[low:high] = _NEVER
        self.finished[low:high], self.improvable[low:high], self.over[low:high] = False, True, False
        self._extend(low, high, 1, logits)

    def active(self, count: int) -> None:
        """Return None: all beams of a slot run until it ends."""

    def advance(self, count: int, rows: torch.Tensor | None, logits: torch.Tensor) -> torch.Tensor:
        """Choose the next tokens, and return the beam that each one continues."""
        return self._extend(0, count, self.rows, logits)

    def ended(self, count: int) -> list[int]:
        """Return the slots that have ended."""
        slots: list[int] = self.over[:count].nonzero()[:, 0].tolist()
        return slots

    def replies(self, slot: int) -> list[TokenReply]:
        """Return the best finished beam."""
        tokens = self.finished_tokens[slot, 0, : self.finished_counts[slot, 0]]
        return [self.reply(slot, 0, tokens, self.finished_raw[slot, 0])]

    def _extend(self, low: int, high: int, beams: int, logits: torch.Tensor) -> torch.Tensor:
        """Add a token to each beam of slots low..high-1, and return the parents (slots, W).

        Args:
            low: the first slot.
            high: the last slot + 1.
            beams: running beams per slot: 1 after the prompt, then W.
            logits: ((high - low) * beams, vocabulary).
        """
        import torch

        count, width = high - low, self.kept
        values, raw, ids = self._candidates(low, count, beams, logits)  # (slots, beams * K)
        values = (values.view(count, beams, width) + self.scores[low:high, :beams, None]).flatten(1)
        raw = (raw.view(count, beams, width) + self.raw[low:high, :beams, None]).flatten(1)
        values, index = values.topk(width, dim=1)  # the K best candidates, descending
        raw, next_tokens, parents = raw.gather(1, index), ids.gather(1, index), index // width

        steps = self.steps[low:high]
        sequences = _pick(self.tokens[low:high], parents)  # (slots, K, longest)
        sequences.scatter_(2, steps[:, None, None].expand(-1, width, 1), next_tokens[..., None])
        self.steps[low:high] = steps + 1
        hits = torch.isin(next_tokens, self.eos_ids) | (self.steps[low:high] == self.limits[low:high])[:, None]

        self._finish(low, high, sequences, values, raw, hits)
        running = values + hits * _NEVER
        index = running.topk(self.rows, dim=1).indices
        self.tokens[low:high] = _pick(sequences, index)
        self.scores[low:high], self.raw[low:high] = running.gather(1, index), raw.gather(1, index)
        self._mark_ended(low, high, hits)
        return parents.gather(1, index)

    def _candidates(
        self, low: int, count: int, beams: int, logits: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return each beam's K best tokens.

        Returns:
            Log-probabilities after the processors, log-probabilities before them, and token ids, all (slots, beams *
            K) on the host.
        """
        import torch

        logprobs = logits.log_softmax(dim=-1)
        rows = torch.arange(count * beams) * (self.rows // beams)
        values, ids = best(self.penalised(logprobs, low, rows), self.kept)
        raw = logprobs.gather(1, ids) if processors.penalises(self.decoding) else values
        return values.cpu().view(count, -1), raw.cpu().view(count, -1), ids.cpu().view(count, -1)

    def _finish(
        self, low: int, high: int, sequences: torch.Tensor, values: torch.Tensor, raw: torch.Tensor, hits: torch.Tensor
    ) -> None:
        """Update the W best finished beams with the candidates that finish in this step."""
        import torch

        steps, finished = self.steps[low:high], self.finished[low:high]
        just = hits.clone()
        just[:, self.rows :] = False
        scores = values / self._penalty(steps)[:, None]
        full = finished.all(dim=1) & (self.decoding.early_stopping is True)
        scores = scores + full[:, None] * _NEVER + ~self.improvable[low:high, None] * _NEVER + ~just * _NEVER
        scores, index = torch.cat((self.finished_scores[low:high], scores), dim=1).topk(self.rows, dim=1)
        counts = steps[:, None].expand_as(values)
        self.finished_scores[low:high] = scores
        self.finished_tokens[low:high] = _pick(torch.cat((self.finished_tokens[low:high], sequences), dim=1), index)
        self.finished_counts[low:high] = torch.cat((self.finished_counts[low:high], counts), dim=1).gather(1, index)
        self.finished_raw[low:high] = torch.cat((self.finished_raw[low:high], raw), dim=1).gather(1, index)
        self.finished[low:high] = torch.cat((finished, just), dim=1).gather(1, index)

    def _mark_ended(self, low: int, high: int, hits: torch.Tensor) -> None:
        """Mark the slots that have ended."""
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
        """Return the divisors (slots,) of the log-probabilities, in float32."""
        import torch

        return torch.tensor([length**self.decoding.length_penalty for length in lengths.tolist()])


def _kept(decoding: DecodingConfig, ends: int) -> int:
    """Return the number K of continuations that a step keeps, so that W of them are left to run."""
    return max(2, 1 + ends) * decoding.num_beams


def _pick(beams: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Return the rows (slots, m, longest) of beams (slots, n, longest) at index (slots, m)."""
    return beams.gather(1, index[..., None].expand(-1, -1, beams.shape[2]))
