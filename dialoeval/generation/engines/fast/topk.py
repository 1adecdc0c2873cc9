"""Exact top-k over a vocabulary, faster than torch's on CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_BLOCK = 64


def best(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the values and columns (rows, k) of the k largest scores (rows, columns), descending.

    The k largest scores lie in the k blocks with the largest maxima, so only those blocks are searched.
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
    values, index = scores.gather(1, candidates).topk(k, dim=-1)
    return values, candidates.gather(1, index)
