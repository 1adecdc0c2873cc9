"""Preferences between pairs of systems: counts, exact tests over items, and Davidson's model of strengths."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dialoeval.errors import UserError
from dialoeval.stats.draws import codes, group_sums, rows_at_a_time
from dialoeval.stats.exact import sign_test

_EQUAL = 1e-12  # sums in a different order differ in the last bits


@dataclass(frozen=True)
class Counts:
    """How often the first of two systems won, tied and lost."""

    wins: int
    ties: int
    losses: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.wins + self.ties + self.losses

    @property
    def percentages(self) -> tuple[int, int, int]:
        """Whole percentages of all, half up, as the DialoGPT paper prints them; they need not add to 100."""
        n = max(1, self.total)
        wins, ties, losses = ((200 * x + n) // (2 * n) for x in (self.wins, self.ties, self.losses))
        return wins, ties, losses


def win_tie_loss(outcomes: np.ndarray) -> Counts:
    """Return the counts of judgments (N,): 1 a win, 0 a tie, -1 a loss; NaN was not given.

    Raises:
        UserError: another value.
    """
    outcomes, _ = _checked(outcomes)
    return Counts(*(int(np.sum(outcomes == value)) for value in (1, 0, -1)))


def majority(items: np.ndarray, outcomes: np.ndarray) -> Counts:
    """Return the counts of items by the most frequent outcome (N,) of each; no single most frequent one is a tie."""
    outcomes, given = _checked(outcomes)
    numbers, n = codes(np.asarray(items)[given])
    wins, ties, losses = group_sums(numbers, n, np.stack([outcomes == v for v in (1, 0, -1)], axis=1)).T
    won = int(np.sum((wins > ties) & (wins > losses)))
    lost = int(np.sum((losses > ties) & (losses > wins)))
    return Counts(won, n - won - lost, lost)


@dataclass(frozen=True)
class SignFlip:
    """The result of a sign-flip test.

    Attributes:
        statistic: sum (or mean, of `sign_flip_means`) of the items' differences.
        p_value: two-sided; 0.0 stands for a value below what a float can hold (about 1e-308).
        items: number of items.
        decided: how many have a difference that is not 0, on which the test rests.
    """

    statistic: float
    p_value: float
    items: int
    decided: int


def sign_flip_test(items: np.ndarray, outcomes: np.ndarray) -> SignFlip:
    """Test two systems by the exact sign-flip test over items: judgments of one item are not independent.

    d_i is wins minus losses among item i's judgments, however many. If the systems are alike, each d_i is as likely as
    -d_i (Fisher 1935); p is the probability of a sum as far from 0 as the observed one. Its distribution is a
    convolution: of the items with |d_i| = m, the sum is m (2 B - n_m) with B binomial (n_m, 1/2), computed from whole
    numbers. With one judgment an item it is the sign test of judgments; if judges always agree, that of items.

    Args:
        items: (N,) label of the item of each judgment.
        outcomes: (N,) 1, 0 or -1; NaN was not given.
    """
    outcomes, given = _checked(outcomes)
    numbers, n = codes(np.asarray(items)[given])
    differences = group_sums(numbers, n, outcomes[:, None])[:, 0].astype(np.int64) if n else np.zeros(0, np.int64)
    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    total = int(differences.sum())
    if len(sizes) <= 1:
        return SignFlip(total, sign_test(*_signs(differences)), n, int(counts.sum()))
    return SignFlip(total, _tail(sizes, counts, abs(total)), n, int(counts.sum()))


def sign_flip_means(differences: np.ndarray, trials: int = 10_000, seed: int = 12345) -> SignFlip:
    """Test whether the mean of differences (n,) of any size is 0, by random sign flips of items.

    For means of ratings, which are not small whole numbers. p = (1 + k) / (1 + trials), where k counts the trials whose
    mean is as far from 0 as the observed one (Phipson and Smyth 2010). NaN differences are left out.
    """
    differences = np.asarray(differences, dtype=float)
    differences = differences[np.isfinite(differences)]
    n, decided = len(differences), differences[np.abs(differences) > _EQUAL]
    if not len(decided):
        return SignFlip(0.0, 1.0, n, 0)
    observed = abs(decided.sum()) - _EQUAL * np.abs(decided).sum()
    rng = np.random.default_rng(seed)
    step, as_far = rows_at_a_time(len(decided)), 0
    for start in range(0, trials, step):
        kept = rng.integers(2, size=(min(step, trials - start), len(decided)), dtype=np.int8)
        as_far += int(np.sum(np.abs(2 * (kept @ decided) - decided.sum()) >= observed))
    return SignFlip(float(differences.mean()), (1 + as_far) / (1 + trials), n, len(decided))


@dataclass(frozen=True)
class Bracket:
    """Two p-values between which that of a cluster-valid test is expected, where only totals are public.

    Attributes:
        independent: of the sign test, as if all judgments were independent.
        agreeing: if the judges of an item always agree: as many times fewer judgments as an item has.
    """

    independent: float
    agreeing: float


def total_bracket(wins: int, losses: int, judges: int) -> Bracket:
    """Return the p-values that totals of decided judgments allow, with so many judges an item.

    If all judges of an item agree, z = (wins - losses) / sqrt(wins + losses) shrinks by sqrt(judges).
    """
    if wins + losses == 0:
        return Bracket(1.0, 1.0)
    z = abs(wins - losses) / math.sqrt((wins + losses) * judges)
    return Bracket(sign_test(wins, losses), math.erfc(z / math.sqrt(2)))


def _checked(outcomes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the given outcomes and (N,) which were given."""
    outcomes = np.asarray(outcomes, dtype=float)
    given = ~np.isnan(outcomes)
    if not np.isin(outcomes[given], (-1.0, 0.0, 1.0)).all():
        raise UserError("an outcome must be 1 (win), 0 (tie) or -1 (loss)")
    return outcomes[given], given


def _signs(differences: np.ndarray) -> tuple[int, int]:
    return int(np.sum(differences > 0)), int(np.sum(differences < 0))


def _tail(sizes: np.ndarray, counts: np.ndarray, observed: int) -> float:
    """Return P(|S| >= observed), where S sums counts[j] independent signs times sizes[j]."""
    law, low = np.ones(1), 0  # probabilities of the sums low, low + 1, ...
    for size, n in zip(sizes.tolist(), counts.tolist(), strict=True):
        binomial = _binomial_halves(n)
        some = np.flatnonzero(binomial)  # what is too small for a float is a shorter law
        first, last = int(some[0]), int(some[-1])
        spread = np.zeros(2 * size * (last - first) + 1)
        spread[:: 2 * size] = binomial[first : last + 1]
        law, low = _convolved(law, spread, 2 * size), low + size * (2 * first - n)
    sums = np.abs(low + np.arange(len(law)))
    return min(1.0, float(law[sums >= observed].sum()))


def _convolved(law: np.ndarray, spread: np.ndarray, stride: int) -> np.ndarray:
    """Return the convolution of two laws, of which the second is 0 except at every stride-th place.

    Sums of products of positive numbers keep their relative precision, which those of a Fourier transform do not.
    """
    result = np.zeros(len(law) + len(spread) - 1)
    dense = spread[::stride]
    for start in range(min(stride, len(law))):  # the places of a law that one stride apart share a residue
        part = np.convolve(law[start::stride], dense)
        result[start::stride][: len(part)] = part
    return result


def _binomial_halves(n: int) -> np.ndarray:
    """Return (n + 1,) probabilities of 0 .. n heads among n fair coins, from whole numbers."""
    half, choices, power = n // 2 + 1, 1, 1 << n
    law = np.zeros(n + 1)
    for k in range(half):
        law[k] = law[n - k] = choices / power
        choices = choices * (n - k) // (k + 1)
    return law


@dataclass(frozen=True)
class PairCounts:
    """Outcomes of items, a pair of systems at a time.

    Attributes:
        pairs: (P, 2) numbers of the systems compared, the smaller first.
        counts: (n, P, 3) wins of the first, ties, losses, an item.
    """

    pairs: np.ndarray
    counts: np.ndarray


def pair_counts(items: np.ndarray, first: np.ndarray, second: np.ndarray, outcomes: np.ndarray) -> PairCounts:
    """Return the outcomes of judgments by item and pair of systems.

    Args:
        items: (N,) label of the item of each judgment.
        first: (N,) number of the system whose win is 1.
        second: (N,) number of the other.
        outcomes: (N,) 1, 0 or -1; NaN was not given.
    """
    outcomes, given = _checked(outcomes)
    numbers, n = codes(np.asarray(items)[given])
    first, second = np.asarray(first)[given], np.asarray(second)[given]
    outcomes = np.where(first <= second, outcomes, -outcomes)
    pairs, which = np.unique(np.sort(np.stack([first, second], axis=1), axis=1), axis=0, return_inverse=True)
    counts = np.zeros((n, len(pairs), 3))
    np.add.at(counts, (numbers, which.reshape(-1), (1 - outcomes).astype(np.int64)), 1)
    return PairCounts(pairs, counts)
