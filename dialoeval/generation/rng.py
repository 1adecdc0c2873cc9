"""Keyed random draws, which do not depend on the batch.

Every draw is a function of (seed, example id, sample index, step), so batch size, order, slots, resuming and the number
of processes never change a reply. One uniform draw per step picks a token by the inverse of the cumulative distribution
in token-id order. That order is the same in every batch, and rounding moves each boundary by no more than the rounding
error itself (in an order by probability, two nearly equal tokens could swap).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    import torch

# SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): increment and mixers.
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def key(seed: int, example_id: str) -> int:
    """Return the 64-bit key of an example's draws, the same on every machine."""
    digest = hashlib.blake2b(f"{seed}\0{example_id}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def uniforms(keys: ArrayLike, samples: ArrayLike, steps: ArrayLike) -> np.ndarray:
    """Return one draw from [0, 1) per row.

    Args:
        keys: (rows,) from `key`.
        samples: (rows,) index of the candidate within its example.
        steps: (rows,) number of tokens generated so far.

    Returns:
        (rows,) float64, multiples of 2**-53.
    """
    with np.errstate(over="ignore"):
        stream = _mix(
            np.asarray(keys, dtype=np.uint64) + (np.asarray(samples, dtype=np.uint64) + np.uint64(1)) * _GAMMA
        )
        bits = _mix(stream + (np.asarray(steps, dtype=np.uint64) + np.uint64(1)) * _GAMMA)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def choose(scores: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Return a draw from softmax(scores) by the inverse cumulative distribution.

    Args:
        scores: (rows, choices) filtered scores in token-id order, at least one per row finite; -inf is never chosen.
        draws: (rows,) float64 in [0, 1].

    Returns:
        (rows,) column numbers.
    """
    import torch

    weights = torch.exp(scores.double() - scores.amax(dim=-1, keepdim=True).double())  # (rows, choices)
    bounds = weights.cumsum(dim=-1)
    if bounds.device.type != "cpu":  # parallel sums may decrease in the last bit where a weight is zero
        bounds = bounds.cummax(dim=-1).values
    target = draws.to(bounds) * bounds[:, -1]
    chosen = torch.searchsorted(bounds, target[:, None], right=True)[:, 0]  # the first bound above the target
    # draw * total can round up to the total: then choose the last column with a weight above zero.
    last = scores.shape[-1] - 1 - (weights > 0).flip(-1).to(torch.int8).argmax(dim=-1)
    return torch.minimum(chosen, last)


def _mix(bits: np.ndarray) -> np.ndarray:
    bits = (bits ^ (bits >> np.uint64(30))) * _MIX_1
    bits = (bits ^ (bits >> np.uint64(27))) * _MIX_2
    mixed: np.ndarray = bits ^ (bits >> np.uint64(31))
    return mixed
