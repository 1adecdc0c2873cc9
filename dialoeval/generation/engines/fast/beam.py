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

    def __init__(self, slots: int, longest_prompt: int, decoding: DecodingConfig, eos_id: int):
        import torch

        super().__init__(slots, decoding.num_beams, longest_prompt, decoding, eos_id)
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

    def begin(self, low: int, high: int, logits: torch.Tensor) -> None:
        self.scores[low:high] = self.raw[low:high] = 0.0
        self.finished_scores[low:high] = _NEVER
        self.finished[low:high], self.improvable[low:high], self.over[low:high] = False, True, False
        self._extend(low, high, 1, logits)  # all beams are one beam yet

    def active(self, count: int) -> None:
        return None

    def advance(self, count: int, rows: torch.Tensor | None, logits: torch.Tensor) -> torch.Tensor:
        return self._extend(0, count, self.rows, logits)

    def ended(self, count: int) -> list[int]:
        return self.over[:count].nonzero()[:, 0].tolist()

    def replies(self, slot: int) -> list[TokenReply]:
        tokens = self.finished_tokens[slot, 0, : self.finished_counts[slot, 0]].tolist()
        stopped = tokens[-1] == self.eos_id
        request, logprob = self.requests[slot], float(self.finished_raw[slot, 0])
        ids = tuple(tokens[:-1] if stopped else tokens)
        return [TokenReply(request.example_id, 0, ids, logprob, "stop" if stopped else "length")]

    def _extend(self, low: int, high: int, beams: int, logits: torch.Tensor) -> torch.Tensor:
        """One step of slots low..high-1 from logits ((high - low) * beams, vocabulary); returns parents (slots, W)."""

        count, wanted = high - low, 2 * self.rows
        values, raw, ids = self._candidates(low, count, beams, logits)  # (slots, beams * 2W)
        values = (values.view(count, beams, wanted) + self.scores[low:high, :beams, None]).flatten(1)
        raw = (raw.view(count, beams, wanted) + self.raw[low:high, :beams, None]).flatten(1)
        values, at = values.topk(wanted, dim=1)  # the 2W candidates, best first
        raw, chosen, parents = raw.gather(1, at), ids.gather(1, at), at // wanted

        steps = self.steps[low:high]
        sequences = _pick(self.tokens[low:high], parents)  # (slots, 2W, longest)
        sequences.scatter_(2, steps[:, None, None].expand(-1, wanted, 1), chosen[..., None])
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
        """Each beam's 2W best tokens: processed and raw log-probabilities, ids; (slots, beams * 2W), on the host."""
        import torch

        logprobs = logits.log_softmax(dim=-1)
        rows = torch.arange(count * beams) * (self.rows // beams)
        values, ids = best(self.penalised(logprobs, low, rows), 2 * self.rows)
        raw = logprobs.gather(1, ids) if processors.penalises(self.decoding) else values
        return tuple(x.cpu().view(count, -1) for x in (values, raw, ids))

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
        scores, kept = torch.cat((self.finished_scores[low:high], scores), dim=1).topk(self.rows, dim=1)
        counts = steps[:, None].expand_as(values)
        self.finished_scores[low:high] = scores
        self.finished_tokens[low:high] = _pick(torch.cat((self.finished_tokens[low:high], sequences), dim=1), kept)
        self.finished_counts[low:high] = torch.cat((self.finished_counts[low:high], counts), dim=1).gather(1, kept)
        self.finished_raw[low:high] = torch.cat((self.finished_raw[low:high], raw), dim=1).gather(1, kept)
        self.finished[low:high] = torch.cat((finished, just), dim=1).gather(1, kept)

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
        """(slots,) float32 divisors of the sums of log-probabilities."""
        import torch

        return torch.tensor([length**self.decoding.length_penalty for length in lengths.tolist()])


def _pick(beams: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Beams (slots, n, longest) at index (slots, m) -> (slots, m, longest)."""
    return beams.gather(1, index[..., None].expand(-1, -1, beams.shape[2]))
