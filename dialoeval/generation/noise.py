"""Keyed noise: every random draw is a function of (seed, example, sample, step) and of nothing else.

So neither the batch, nor the order of examples, nor shards, restarts or the number of processes change a sampled reply.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

_GAMMA = np.uint64(0x9E3779B97F4A7C15)  # the constants of splitmix64 (Steele, Lea and Flood 2014)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)


def stream_keys(seed: int, example_ids: Sequence[str], samples: Sequence[int]) -> np.ndarray:
    """(n,) uint64: the key of the stream of draws of each (example, sample)."""
    keys = np.empty(len(example_ids), dtype=np.uint64)
    for i, (name, sample) in enumerate(zip(example_ids, samples, strict=True)):
        text = f"{seed}\x00{sample}\x00{name}".encode("utf-8", "surrogatepass")
        keys[i] = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
    return keys


def uniforms(keys: np.ndarray, steps: np.ndarray | int) -> np.ndarray:
    """(n,) float64 in [0, 1): the draw of each stream at its step (splitmix64 of key and step)."""
    with np.errstate(over="ignore"):
        z = keys + (np.asarray(steps).astype(np.uint64) + np.uint64(1)) * _GAMMA
        z = (z ^ (z >> np.uint64(30))) * _MIX1
        z = (z ^ (z >> np.uint64(27))) * _MIX2
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53
