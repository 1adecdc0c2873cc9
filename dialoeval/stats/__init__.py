"""Resampling statistics over any examples with figures for given weights, independent of the metrics."""

from dialoeval.stats.adjust import adjust
from dialoeval.stats.exact import exact_interval, sign_test
from dialoeval.stats.intervals import bootstrap_intervals
from dialoeval.stats.paired import PairedResult, approximate_randomization, paired_bootstrap

__all__ = [
    "PairedResult",
    "adjust",
    "approximate_randomization",
    "bootstrap_intervals",
    "exact_interval",
    "paired_bootstrap",
    "sign_test",
]
