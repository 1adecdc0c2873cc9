"""Keyed draws: they depend only on their key, are uniform, and choose by the inverse cumulative distribution."""

from __future__ import annotations

import numpy as np
import torch

from dialoeval.generation import rng


def test_draws_do_not_depend_on_their_batch():
    keys = np.array([rng.key(3, f"example {i}") for i in range(50)], dtype=np.uint64)
    samples, steps = np.arange(50) % 4, np.arange(50) % 7
    together = rng.uniforms(keys, samples, steps)
    order = np.random.default_rng(0).permutation(50)
    assert np.array_equal(rng.uniforms(keys[order], samples[order], steps[order]), together[order])
    alone = [rng.uniforms(keys[i : i + 1], samples[i : i + 1], steps[i : i + 1])[0] for i in range(50)]
    assert alone == together.tolist()


def test_every_part_of_the_key_matters():
    base = rng.uniforms([rng.key(0, "a")], [0], [0])[0]
    others = [
        rng.uniforms([rng.key(1, "a")], [0], [0])[0],
        rng.uniforms([rng.key(0, "b")], [0], [0])[0],
        rng.uniforms([rng.key(0, "a")], [1], [0])[0],
        rng.uniforms([rng.key(0, "a")], [0], [1])[0],
    ]
    assert len({base, *others}) == 5


def test_draws_are_the_same_on_every_machine():
    assert rng.key(0, "a") == 0x15D8D767D2A6EBD3
    assert rng.uniforms([rng.key(0, "a")], [0], [0])[0] == float.fromhex("0x1.67c78e9b265b6p-2")


def test_draws_are_uniform():
    keys = np.array([rng.key(0, str(i)) for i in range(500)], dtype=np.uint64)
    draws = np.concatenate([rng.uniforms(keys, [s] * 500, [t] * 500) for s in range(4) for t in range(10)])
    assert draws.min() >= 0 and draws.max() < 1
    counts = np.histogram(draws, bins=100, range=(0, 1))[0]
    chi_square = ((counts - 200) ** 2 / 200).sum()
    assert chi_square < 160  # 99 degrees of freedom: beyond the 99.99th percentile
    by_step = draws.reshape(4, 10, 500)
    assert abs(np.corrcoef(by_step[:, :-1].ravel(), by_step[:, 1:].ravel())[0, 1]) < 0.03


def test_choose_follows_the_distribution_and_never_takes_the_forbidden():
    scores = torch.log(torch.tensor([0.1, 0.0, 0.2, 0.4, 0.3, 0.0]))
    draws = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    counts = rng.choose(scores.expand(1000, -1), draws).bincount(minlength=6)
    assert counts.tolist() == [100, 0, 200, 400, 300, 0]


def test_choose_at_the_ends_of_the_interval():
    scores = torch.tensor([[float("-inf"), 0.0, 1.0, float("-inf")]])
    assert rng.choose(scores, torch.tensor([0.0], dtype=torch.float64)).tolist() == [1]
    assert rng.choose(scores, torch.tensor([1 - 2.0**-53], dtype=torch.float64)).tolist() == [2]
    assert rng.choose(scores, torch.tensor([1.0], dtype=torch.float64)).tolist() == [2]
