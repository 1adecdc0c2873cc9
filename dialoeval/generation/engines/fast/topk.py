"""The k best of a vocabulary, exactly and without sorting it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_BLOCK = 64


def best(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the values and columns (rows, k) of the k largest scores (rows, columns), descending.

    A score among the k best stands in one of the k blocks of largest maxima, so only those blocks are looked at.
    """
    import torch

    rows, columns = scores.shape
    blocks = columns // _BLOCK
    if scores.device.type != "cpu" or blocks < 4 * k:
        return scores.topk(k, dim=-1)
    peaks = scores[:, : blocks * _BLOCK].view(rows, blocks, _BLOCK).amax(dim=-1)
    chosen = peaks.topk(k, dim=-1).indices[..., None] * _BLOCK + torch.arange(_BLOCK)  # (rows, k, _BLOCK)
    rest = torch.arange(blocks * _BLOCK, columns).expand(rows, -1)
    candidates = torch.cat((chosen.flatten(1), rest), dim=1)
    values, at = scores.gather(1, candidates).topk(k, dim=-1)
    return values, candidates.gather(1, at)
