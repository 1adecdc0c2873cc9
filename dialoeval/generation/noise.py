"""Keyed noise: every random draw is a function of (seed, example, sample, step) and of nothing else.

So neither the batch, nor the order of examples, nor shards, restarts or the number of processes change a sampled reply.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    import torch

# The constants of splitmix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators").
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)


def key(seed: int, example_id: str) -> int:
    """The 64-bit key of an example under a seed: the start of a BLAKE2b hash, the same on every machine."""
    text = f"{seed}\x00{example_id}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def uniforms(keys: ArrayLike, samples: ArrayLike, steps: ArrayLike) -> np.ndarray:
    """(n,) float64 in [0, 1): one draw for each (key, sample, step), each (n,)."""
    keys = np.asarray(keys, dtype=np.uint64)
    samples = np.asarray(samples).astype(np.uint64)
    steps = np.asarray(steps).astype(np.uint64)
    with np.errstate(over="ignore"):
        stream = _mix(keys + (samples + np.uint64(1)) * _GAMMA)
        bits = _mix(stream + (steps + np.uint64(1)) * _GAMMA)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def choose(scores: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Choose a token a row by inverting the cumulative distribution over token ids.

    Args:
        scores: (rows, V) log-probabilities up to a constant; -inf is never chosen.
        draws: (rows,) float64 in [0, 1].

    Returns:
        (rows,) token ids. The walk is in the order of token ids over what is left of the vocabulary, so that ties do
        not decide and the width of the batch does not either.
    """
    import torch

    support = int((scores > float("-inf")).sum(dim=-1).max())
    values, ids = scores.float().topk(max(1, support), dim=-1)
    ids, order = ids.sort(dim=-1)
    mass = values.gather(-1, order).double()
    mass = (mass - mass.amax(dim=-1, keepdim=True)).exp()
    cumulative = mass.cumsum(dim=-1)
    total = cumulative[:, -1:]
    target = torch.minimum(draws.to(total.device)[:, None] * total, torch.nextafter(total, torch.zeros_like(total)))
    return ids.gather(-1, torch.searchsorted(cumulative, target, right=True))[:, 0]


def _mix(z: np.ndarray) -> np.ndarray:
    z = (z ^ (z >> np.uint64(30))) * _MIX1
    z = (z ^ (z >> np.uint64(27))) * _MIX2
    return z ^ (z >> np.uint64(31))
