"""Figures of judgments with two intervals: over other contexts, and over other contexts and judges."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

import numpy as np

from dialoeval.judging.panel import number_of_judges
from dialoeval.stats.clusters import Statistic, TwoWay, leave_one_judge_out, pigeonhole_interval, two_way_interval
from dialoeval.stats.draws import Interval, Undefined, codes, group_sums, of_totals, percentile_interval, resampled

Key = TypeVar("Key", bound=Hashable)
_CROSSED = 1000  # resamples of the cross-check, which is for its width


@dataclass(frozen=True)
class Settings:
    """How an analysis resamples.

    Attributes:
        resamples: of contexts.
        seed: of all draws.
        anchor: the system whose Davidson strength is 0; None: the first.
    """

    resamples: int = 10_000
    seed: int = 12345
    anchor: str | None = None


@dataclass(frozen=True)
class Estimate:
    """A figure with its intervals.

    Attributes:
        value: the figure, or why it cannot be computed.
        contexts: the 95% interval over other contexts, with these judges.
        both: that over other contexts and other judges.
        without_one: the lowest and highest figure if one judge is left out; None with a single judge.
        pigeonhole: the 95% interval by the pigeonhole bootstrap, a conservative cross-check of `both`; None where it
            was not asked for.
    """

    value: float | Undefined
    contexts: Interval | Undefined
    both: TwoWay | Undefined
    without_one: tuple[float, float] | None
    pigeonhole: Interval | Undefined | None = None


def estimates(
    statistics: Mapping[Key, Statistic], settings: Settings, cross_check: bool = False
) -> dict[Key, Estimate]:
    """Return the estimate of each figure. All share their draws of contexts, so that differences are paired.

    Args:
        statistics: the figures.
        settings: of the draws.
        cross_check: draw contexts and judges anew, too (`Estimate.pigeonhole`).
    """
    crossed = min(settings.resamples, _CROSSED) if cross_check else 0
    defined = {key: s for key, s in statistics.items() if not isinstance(s.value, Undefined)}
    intervals = _context_intervals(defined, settings)
    found = {}
    for key, statistic in statistics.items():
        value = statistic.value
        if isinstance(value, Undefined):
            found[key] = Estimate(value, value, value, None)
            continue
        labels, without = leave_one_judge_out(statistic)
        without = without[np.isfinite(without) & (labels >= 0)]
        judges = number_of_judges(statistic.judges)
        several = judges > 1 and len(without) > 0
        found[key] = Estimate(
            value,
            intervals[key],
            two_way_interval(statistic, judges=judges),
            (float(without.min()), float(without.max())) if several else None,
            pigeonhole_interval(statistic, crossed, settings.seed) if crossed and judges > 1 else None,
        )
    return found


def _context_intervals(statistics: Mapping[Key, Statistic], settings: Settings) -> dict[Key, Interval | Undefined]:
    """Return percentile intervals by the bootstrap over the contexts of all figures together."""
    if not statistics:
        return {}
    contexts, n = codes(np.concatenate([s.items for s in statistics.values()]))
    if n < 2 or settings.resamples < 1:
        why = Undefined("needs two contexts or more" if n < 2 else "no resamples were asked for")
        return dict.fromkeys(statistics, why)
    blocks, start = [], 0
    for statistic in statistics.values():
        blocks.append(group_sums(contexts[start : start + len(statistic.items)], n, statistic.rows()))
        start += len(statistic.items)

    def figures(totals: np.ndarray) -> np.ndarray:
        columns, at = [], 0
        for statistic, block in zip(statistics.values(), blocks, strict=True):
            columns.append(statistic.of_totals(totals[:, at : at + block.shape[1]]))
            at += block.shape[1]
        return np.stack(columns, axis=1)

    drawn = resampled(np.hstack(blocks), of_totals(figures), settings.resamples, settings.seed)
    return {key: percentile_interval(drawn[:, i]) for i, key in enumerate(statistics)}


def plain(value: Any) -> Any:
    """Return dataclasses, arrays and enums as JSON values. What is not computed is ``{"not_computed": why}``."""
    if isinstance(value, Undefined):
        return {"not_computed": value.reason}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, Enum):
        return str(value)
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
