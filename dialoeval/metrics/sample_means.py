"""The mean of the scores of several samples of one system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from dialoeval.metrics.scores import ExtraScore, Scores


def mean_scores(samples: Sequence[Scores]) -> Scores:
    """Return the mean of every figure over k samples of one system, each scored as a set of n replies.

    The result has no intervals: those of one sample say nothing of a mean. Counts are summed over the samples.

    Args:
        samples: (k,) scores under the same protocol and metrics; one is returned as it is.
    """
    first, *others = samples
    if not others:
        return first
    mark = f"|samples:mean of {len(samples)}"
    names = [name for name in first.figures if all(name in scores for scores in others)]
    extra = {
        name: ExtraScore(
            fmean(scores[name] for scores in samples) if name in names else None,
            entry.signature + mark,
            {key: fmean(s[f"{name}.{key}"] for s in samples) for key in entry.details if f"{name}.{key}" in names},
        )
        for name, entry in first.extra.items()
    }
    return replace(
        first,
        figures={name: fmean(scores[name] for scores in samples) for name in names},
        intervals={},
        signatures={name: signature + mark for name, signature in first.signatures.items()},
        counts={name: sum(scores.counts.get(name, 0) for scores in samples) for name in first.counts},
        resamples=0,
        extra=extra,
    )
