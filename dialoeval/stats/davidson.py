"""Strengths of systems from preferences with ties, by Davidson's model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dialoeval.errors import UserError
from dialoeval.stats.draws import Interval, Undefined, of_totals, percentile_interval, resampled

_STEPS = 100
_LONGEST = 3.0  # a Newton step in log-odds, beyond which the quadratic is not to be trusted
_CLOSE = 1e-10


@dataclass(frozen=True)
class Davidson:
    """Strengths of systems.

    Attributes:
        names: of the s systems.
        strengths: (s,) logarithms of worth, 0 for the anchor.
        errors: (s,) their standard errors against the anchor, from the information; 0 for the anchor.
        nu: how readily judges call a tie, 0 where none was.
        nu_error: its standard error, None where no tie was given.
        log_likelihood: without the multinomial coefficients.
        g2: likelihood ratio against shares of their own for every pair.
        df: its degrees of freedom.
        p_value: of g2; None where there are no degrees of freedom. Small: one strength a system does not explain all.
        shares: (P, 3) predicted shares of wins, ties and losses of each pair.
    """

    names: tuple[str, ...]
    strengths: np.ndarray
    errors: np.ndarray
    nu: float
    nu_error: float | None
    log_likelihood: float
    g2: float
    df: int
    p_value: float | None
    shares: np.ndarray


def davidson(pairs: np.ndarray, counts: np.ndarray, names: Sequence[str], anchor: int = 0) -> Davidson | Undefined:
    """Fit P(i wins) : P(tie) : P(j wins) = exp(a_i) : nu exp((a_i + a_j) / 2) : exp(a_j) (Davidson 1970).

    By maximum likelihood and Newton's method, without a prior: where a strength is infinite, the result says whose. Two
    systems have a closed form, a_i - a_j = ln(wins / losses) and nu = ties / sqrt(wins losses).

    Args:
        pairs: (P, 2) numbers of the systems compared.
        counts: (P, 3) wins of the first, ties, losses.
        names: of the s systems.
        anchor: the system whose strength is 0.

    Raises:
        UserError: a number is not that of a system, or a system is paired with itself.
    """
    pairs, counts = np.asarray(pairs, dtype=np.int64).reshape(-1, 2), np.asarray(counts, dtype=float).reshape(-1, 3)
    s = len(names)
    strange = (pairs < 0) | (pairs >= s) | (pairs[:, :1] == pairs[:, 1:])
    if strange.any() or not 0 <= anchor < s:
        raise UserError(f"a pair must name two different ones of the {s} systems, 0 to {s - 1}, and so must the anchor")
    reason = _why_none(pairs, counts, names)
    if reason:
        return Undefined(reason)
    ties = bool(counts[:, 1].sum() > 0)
    model = _Model.of(pairs, s, anchor, ties)
    parameters = model.fit(counts[None])[0]
    shares = model.shares(parameters[None])[0]
    n = counts.sum(axis=1)
    information = model.information(shares[None], n[None])[0]
    spread = np.sqrt(np.diag(np.linalg.inv(information)))
    expected = n[:, None] * shares
    some = counts > 0
    g2 = 2 * float(np.sum(counts[some] * np.log(counts[some] / expected[some])))
    df = int(np.sum(n > 0)) * (2 if ties else 1) - len(parameters)
    strengths, errors = np.insert(parameters[: s - 1], anchor, 0.0), np.insert(spread[: s - 1], anchor, 0.0)
    nu = math.exp(parameters[-1]) if ties else 0.0
    return Davidson(
        tuple(names),
        strengths,
        errors,
        nu,
        nu * float(spread[-1]) if ties else None,
        float(np.sum(counts[some] * np.log(shares[some]))),
        max(0.0, g2),
        df,
        _chi2_tail(g2, df),
        shares,
    )


@dataclass(frozen=True)
class DavidsonIntervals:
    """Intervals over other items.

    Attributes:
        strengths: one a system; undefined for the anchor, which is 0.
        nu: of the readiness to call a tie.
        degenerate: resamples in which a strength does not exist, which are left out.
    """

    strengths: tuple[Interval | Undefined, ...]
    nu: Interval | Undefined
    degenerate: int


def davidson_intervals(
    pairs: np.ndarray, counts: np.ndarray, systems: int, anchor: int = 0, resamples: int = 10_000, seed: int = 12345
) -> DavidsonIntervals | Undefined:
    """Return intervals of `davidson` by resampling items; none if more than 1% of resamples have no finite strengths.

    Args:
        pairs: (P, 2) numbers of the systems compared.
        counts: (n, P, 3) wins of the first, ties and losses, an item (see `pair_counts`).
        systems: how many there are.
        anchor: the system whose strength is 0.
        resamples: how often the items are drawn.
        seed: of the draws.
    """
    n = len(counts)
    if n < 2 or resamples < 1:
        return Undefined("an interval needs two items or more")
    if _why_none(pairs, counts.sum(axis=0), [str(i) for i in range(systems)]):
        return Undefined("the strengths do not exist")
    figure = of_totals(lambda totals: _fitted(pairs, totals, systems, anchor))
    drawn = resampled(counts.reshape(n, -1), figure, resamples, seed)
    found = [percentile_interval(column) for column in drawn.T]
    degenerate = int(np.sum(~np.isfinite(drawn[:, -1])))
    if degenerate > 0.01 * resamples:
        return Undefined(f"{degenerate:,} of {resamples:,} resamples of items have no finite strengths")
    fixed = Undefined("the strength of the anchor is 0")
    return DavidsonIntervals((*found[:anchor], fixed, *found[anchor:-1]), found[-1], degenerate)


def _fitted(pairs: np.ndarray, totals: np.ndarray, systems: int, anchor: int) -> np.ndarray:
    """Return (m, s) strengths of all but the anchor and nu, for (m, 3P) totals; NaN where they do not exist."""
    counts = totals.reshape(len(totals), -1, 3)
    result = np.full((len(counts), systems), np.nan)
    exists = _exist(pairs, counts, systems)
    tied = counts[:, :, 1].sum(axis=1) > 0
    for ties in (True, False):
        rows = exists & (tied == ties)
        if rows.any():
            parameters = _Model.of(pairs, systems, anchor, ties).fit(counts[rows])
            result[rows, : systems - 1] = parameters[:, : systems - 1]
            result[rows, -1] = np.exp(parameters[:, -1]) if ties else 0.0
    return result


@dataclass(frozen=True)
class _Model:
    """Log-weights of win, tie and loss, linear in q parameters: strengths but the anchor's, and ln nu with ties.

    Attributes:
        design: (P, 3, q).
        ties: whether there are any; if not, a tie has no probability.
    """

    design: np.ndarray
    ties: bool

    @classmethod
    def of(cls, pairs: np.ndarray, systems: int, anchor: int, ties: bool) -> _Model:
        """Return the model of pairs (P, 2)."""
        ones = np.eye(systems)
        first, second = ones[pairs[:, 0]], ones[pairs[:, 1]]
        design = np.delete(np.stack([first, (first + second) / 2, second], axis=1), anchor, axis=2)
        if ties:
            of_nu = np.broadcast_to(np.array([0.0, 1.0, 0.0])[:, None], (len(pairs), 3, 1))
            design = np.concatenate([design, of_nu], axis=2)
        return cls(design, ties)

    def shares(self, parameters: np.ndarray) -> np.ndarray:
        """Return (m, P, 3) probabilities of win, tie and loss for (m, q) parameters."""
        logits = np.einsum("poq,mq->mpo", self.design, parameters)
        if not self.ties:
            logits[:, :, 1] = -np.inf
        weights = np.exp(logits - logits.max(axis=2, keepdims=True))
        return np.asarray(weights / weights.sum(axis=2, keepdims=True))

    def information(self, shares: np.ndarray, n: np.ndarray) -> np.ndarray:
        """Return (m, q, q) information of n (m, P) judgments."""
        q = self.design.shape[2]
        products = (self.design[..., :, None] * self.design[..., None, :]).reshape(-1, q * q)
        centred = np.einsum("mpo,poq->mpq", shares, self.design)
        square = ((n[:, :, None] * shares).reshape(len(n), -1) @ products).reshape(-1, q, q)
        return np.asarray(square - np.matmul((n[:, :, None] * centred).transpose(0, 2, 1), centred))

    def fit(self, counts: np.ndarray) -> np.ndarray:
        """Return (m, q) parameters for (m, P, 3) counts that have finite ones, by Newton: the likelihood is concave."""
        n = counts.sum(axis=2)
        parameters = np.zeros((len(counts), self.design.shape[2]))
        for _ in range(_STEPS):
            shares = self.shares(parameters)
            score = np.einsum("mpo,poq->mq", counts - n[:, :, None] * shares, self.design)
            step = np.linalg.solve(self.information(shares, n), score[:, :, None])[:, :, 0]
            longest = np.abs(step).max(axis=1, keepdims=True)
            parameters += step * (_LONGEST / np.maximum(longest, _LONGEST))
            if longest.max() < _CLOSE:
                break
        return parameters


def _exist(pairs: np.ndarray, counts: np.ndarray, systems: int) -> np.ndarray:
    """Return (m,) whether finite strengths and nu fit (m, P, 3) counts.

    Strengths: the graph from winner to loser, both ways for ties, must be strongly connected (Ford 1957). nu: if there
    are ties, some circle must have more wins than ties. Without one, strengths that put winners 2 apart and the tied at
    most 2 apart can grow with ln nu for ever: such as one win and one tie of two systems, where ln(wins / losses) is
    infinite.
    """
    reach = _reach(pairs, counts, systems).all(axis=(1, 2))
    return np.asarray(reach & (_circle(pairs, counts, systems) | (counts[:, :, 1].sum(axis=1) == 0)))


def _reach(pairs: np.ndarray, counts: np.ndarray, systems: int) -> np.ndarray:
    """Return (m, s, s) whether a path leads from one system to another."""
    edges = np.zeros((len(counts), systems, systems), dtype=bool)
    edges[:, np.arange(systems), np.arange(systems)] = True
    for (i, j), (win, tie, loss) in zip(pairs, counts.transpose(1, 2, 0) > 0, strict=True):
        edges[:, i, j] |= win | tie
        edges[:, j, i] |= loss | tie
    for k in range(systems):
        edges |= edges[:, :, k, None] & edges[:, None, k, :]
    return edges


def _circle(pairs: np.ndarray, counts: np.ndarray, systems: int) -> np.ndarray:
    """Return (m,) whether some circle of systems has more wins than ties (a negative circle; Floyd 1962)."""
    lengths = np.full((len(counts), systems, systems), np.inf)
    lengths[:, np.arange(systems), np.arange(systems)] = 0.0
    for (i, j), (win, tie, loss) in zip(pairs, counts.transpose(1, 2, 0) > 0, strict=True):
        for a, b, won in ((i, j, win), (j, i, loss)):
            lengths[:, a, b] = np.minimum(lengths[:, a, b], np.where(won, -1.0, np.where(tie, 1.0, np.inf)))
    for k in range(systems):
        lengths = np.maximum(np.minimum(lengths, lengths[:, :, k, None] + lengths[:, None, k, :]), -1e6)
    return np.asarray(np.any(np.diagonal(lengths, axis1=1, axis2=2) < 0, axis=1))


def _why_none(pairs: np.ndarray, counts: np.ndarray, names: Sequence[str]) -> str:
    """Return why no finite strengths fit the counts (P, 3), or "" if they do."""
    s = len(names)
    if s < 2:
        return "two systems or more are needed"
    if not counts[:, [0, 2]].sum():
        return "no judgment was decided"
    reach = _reach(pairs, counts[None], s)[0]
    if not reach.all():
        return _culprits(pairs, counts, reach, names)
    if counts[:, 1].sum() and not _circle(pairs, counts[None], s)[0]:
        return "no two systems won against each other: wins and ties allow infinite strengths"
    return ""


def _culprits(pairs: np.ndarray, counts: np.ndarray, reach: np.ndarray, names: Sequence[str]) -> str:
    """Return which systems won or lost everything against the others, or were never compared with them."""
    groups = {tuple(np.flatnonzero(row).tolist()) for row in reach & reach.T}
    n = np.zeros((len(names), len(names)))
    np.add.at(n, (pairs[:, 0], pairs[:, 1]), counts.sum(axis=1))
    sentences: list[str] = []
    for group in sorted(groups, key=lambda group: (len(group), group)):
        inside = np.isin(np.arange(len(names)), group)
        if len(group) > len(names) / 2 and sentences:
            continue  # the few are the culprits
        who = _listed([names[i] for i in group])
        if not (n + n.T)[inside][:, ~inside].any():
            sentences.append(f"{who} {'was' if len(group) == 1 else 'were'} never compared with the others")
        elif not reach[inside][:, ~inside].any():
            sentences.append(f"{who} lost every comparison{'' if len(group) == 1 else ' with the others'}")
        elif not reach[~inside][:, inside].any():
            sentences.append(f"{who} won every comparison{'' if len(group) == 1 else ' with the others'}")
    return f"{'; '.join(sentences)}: no finite strength"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _chi2_tail(value: float, df: int) -> float | None:
    from scipy.special import chdtrc

    return float(chdtrc(df, max(0.0, value))) if df > 0 else None
