"""Comparing runs on the same data: is the difference real, and where does it come from?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dialoeval.config import ProtocolConfig
from dialoeval.errors import UserError
from dialoeval.runs.folder import RunFolder
from dialoeval.stats import PairedResult, adjust, approximate_randomization, paired_bootstrap

# The figures of the paper's tables, which the correction over several comparisons counts.
COMPARED = ("nist2", "nist4", "bleu2", "bleu4", "meteor", "entropy4", "distinct1", "distinct2", "avg_len")
SEGMENT_METRICS = ("meteor", "nist", "bleu")


@dataclass(frozen=True)
class LoadedRun:
    """A complete run, in the order of its replies."""

    name: str
    ids: list[str]
    contexts: list[list[str]]
    replies: list[str]
    references: list[list[str]]
    scores: dict[str, Any]
    segments: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Comparison:
    """Two runs, figure by figure, and why they differ."""

    a: LoadedRun
    b: LoadedRun
    bootstrap: dict[str, PairedResult]
    randomization: dict[str, PairedResult]
    adjusted: dict[str, float]  # of the randomization p-values, over all comparisons made together
    identical: int
    buckets: dict[str, list[dict[str, Any]]]
    ngrams: dict[str, list[tuple[str, int, int]]]
    extremes: dict[str, list[dict[str, Any]]]


def load_run(folder: RunFolder) -> LoadedRun:
    """Read a run for comparison.

    Raises:
        UserError: it is not complete or has no scores.
    """
    if not folder.is_complete():
        raise UserError(f"{folder.path} is not complete: run its configuration again, it goes on where it stopped")
    scores = folder.scores()
    if scores is None:
        raise UserError(f"{folder.path} has no scores: run its configuration again, which scores it")
    rows, references = folder.replies(), folder.references()
    missing = [row["id"] for row in rows if row["id"] not in references]
    if missing:
        raise UserError(f"{folder.references_file} has no entry for {missing[0]!r} ({len(missing)} such)")
    return LoadedRun(
        folder.path.name,
        [row["id"] for row in rows],
        [row["context"] for row in rows],
        [row["reply"] for row in rows],
        [references[row["id"]] for row in rows],
        scores,
        folder.segments(),
    )


def check_comparable(runs: Sequence[LoadedRun]) -> None:
    """Refuse runs on different data or under different protocols.

    Raises:
        UserError: which runs, and how they differ.
    """
    first = runs[0]
    for other in runs[1:]:
        if other.ids != first.ids:
            shared = len(set(first.ids) & set(other.ids))
            raise UserError(
                f"{first.name} and {other.name} are not on the same examples: {len(first.ids)} and {len(other.ids)}, "
                f"{shared} of them shared"
            )
        for what in ("references", "contexts"):
            differing = sum(x != y for x, y in zip(getattr(first, what), getattr(other, what), strict=True))
            if differing:
                raise UserError(f"{first.name} and {other.name} differ in the {what} of {differing} examples")
        if first.scores["protocol"] != other.scores["protocol"]:
            raise UserError(
                f"{first.name} was scored under protocol {first.scores['protocol']['name']}, {other.name} under "
                f"{other.scores['protocol']['name']}: run one again with the other's protocol= (nothing is generated)"
            )


def compare(
    runs: Sequence[LoadedRun], *, resamples: int = 1000, trials: int = 1000, seed: int = 12345, correction: str = "holm"
) -> list[Comparison]:
    """Compare each run with the first. p-values are corrected over all figures of all these comparisons together.

    Raises:
        UserError: fewer than two runs, or runs that cannot be compared.
    """
    from dialoeval.metrics import statistics

    if len(runs) < 2:
        raise UserError("compare needs at least two runs")
    check_comparable(runs)
    protocol = ProtocolConfig(**runs[0].scores["protocol"])
    meteor = all(run.scores["meteor"] is not None for run in runs)
    made = [statistics(run.replies, run.references, protocol, meteor=meteor, progress=True) for run in runs]
    tests = []
    for other in made[1:]:
        bootstrap = paired_bootstrap(made[0], other, resamples, seed)
        tests.append((bootstrap, approximate_randomization(made[0], other, trials, seed)))
    family = {
        (i, name): randomization[name].p_value
        for i, (_, randomization) in enumerate(tests)
        for name in COMPARED
        if name in randomization
    }
    adjusted = adjust(family, correction)
    return [
        _comparison(runs[0], run, bootstrap, randomization, {n: p for (j, n), p in adjusted.items() if j == i})
        for i, (run, (bootstrap, randomization)) in enumerate(zip(runs[1:], tests, strict=True))
    ]


def _comparison(
    a: LoadedRun,
    b: LoadedRun,
    bootstrap: dict[str, PairedResult],
    randomization: dict[str, PairedResult],
    adjusted: dict[str, float],
) -> Comparison:
    return Comparison(
        a,
        b,
        bootstrap,
        randomization,
        adjusted,
        sum(x == y for x, y in zip(a.replies, b.replies, strict=True)),
        {
            "context length (words)": _buckets(a, b, [sum(len(t.split()) for t in c) for c in a.contexts]),
            "reply length of the first run (words)": _buckets(a, b, [len(r.split()) for r in a.replies]),
        },
        {"unigrams": _ngrams(a, b, 1), "trigrams": _ngrams(a, b, 3)},
        {metric: _extremes(a, b, metric) for metric in SEGMENT_METRICS},
    )


def _segment_values(run: LoadedRun, metric: str) -> np.ndarray:
    """(n,) segment scores; NaN inside this module only, where there is none."""
    values = [run.segments.get(name, {}).get(metric) for name in run.ids]
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def _buckets(a: LoadedRun, b: LoadedRun, lengths: Sequence[int]) -> list[dict[str, Any]]:
    """Mean segment METEOR (NIST where it was not computed) of both runs by quarters of `lengths`."""
    metric = next((m for m in SEGMENT_METRICS if not np.isnan(_segment_values(a, m)).all()), None)
    if metric is None:
        return []
    left, right = _segment_values(a, metric), _segment_values(b, metric)
    values = np.array(lengths)
    edges = np.unique(np.quantile(values, [0, 0.25, 0.5, 0.75, 1]).astype(int))
    rows = []
    for i, low in enumerate(edges[:-1] if len(edges) > 1 else edges):
        high = edges[i + 1] if len(edges) > 1 else low
        last = i == max(len(edges) - 2, 0)
        inside = (values >= low) & ((values <= high) if last else (values < high)) & ~np.isnan(left) & ~np.isnan(right)
        if inside.any():
            rows.append(
                {
                    "range": f"{low}-{high if last else high - 1}",
                    "n": int(inside.sum()),
                    "metric": metric,
                    "a": float(left[inside].mean()),
                    "b": float(right[inside].mean()),
                }
            )
    return rows


def _ngrams(a: LoadedRun, b: LoadedRun, n: int, most: int = 10) -> list[tuple[str, int, int]]:
    """The n-grams whose counts differ most: (n-gram, count in a, count in b)."""
    counts = [Counter[str](), Counter[str]()]
    for counter, run in zip(counts, (a, b), strict=True):
        for reply in run.replies:
            words = reply.split()
            counter.update(" ".join(words[i : i + n]) for i in range(len(words) - n + 1))
    ranked = sorted(set(counts[0]) | set(counts[1]), key=lambda g: (-abs(counts[0][g] - counts[1][g]), g))
    return [(gram, counts[0][gram], counts[1][gram]) for gram in ranked[:most]]


def _extremes(a: LoadedRun, b: LoadedRun, metric: str, most: int = 5) -> list[dict[str, Any]]:
    """The examples on which the runs differ most by a segment score: b's gains first, then its losses."""
    difference = _segment_values(b, metric) - _segment_values(a, metric)
    order = [
        int(i) for i in np.argsort(difference, kind="stable") if not np.isnan(difference[i]) and difference[i] != 0
    ]
    losses, gains = order[:most], order[::-1][:most]
    chosen = [i for i in gains if difference[i] > 0] + [i for i in losses if difference[i] < 0]
    return [
        {
            "id": a.ids[i],
            "context": a.contexts[i],
            "a": a.replies[i],
            "b": b.replies[i],
            "references": a.references[i][:3],
            "difference": float(difference[i]),
        }
        for i in chosen
    ]
