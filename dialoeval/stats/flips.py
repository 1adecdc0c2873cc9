"""Random sign flips of many differences at once."""

from __future__ import annotations

import numpy as np

from dialoeval.stats.draws import rows_at_a_time

_EQUAL = 1e-12  # sums in a different order differ in the last bits


def sign_flip_p_values(differences: np.ndarray, trials: int = 10_000, seed: int = 12345) -> np.ndarray:
    """Return (f,) two-sided p-values of the means of (n, f) differences, the flips of an item shared by all columns.

    Each is that of `dialoeval.stats.pairwise.sign_flip_means`: (1 + k) / (1 + trials), where k counts the trials whose
    mean is as far from 0 as the observed one; 1 if all differences are 0. NaN is a difference that does not exist.
    """
    given = np.nan_to_num(np.asarray(differences, dtype=float))
    observed = np.abs(given.sum(axis=0)) - _EQUAL * np.abs(given).sum(axis=0)
    rng = np.random.default_rng(seed)
    step, as_far = rows_at_a_time(len(given)), np.zeros(given.shape[1])
    for start in range(0, trials, step):
        m = min(step, trials - start)
        bits = np.unpackbits(rng.integers(256, size=(m, (len(given) + 7) // 8), dtype=np.uint8), axis=1)
        signs = 2.0 * bits[:, : len(given)] - 1.0
        as_far += np.sum(np.abs(signs @ given) >= observed, axis=0)
    return np.where(np.any(given != 0, axis=0), (1 + as_far) / (1 + trials), 1.0)
