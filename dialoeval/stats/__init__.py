"""Statistics of examples, of judgments by people, and of both together; they know no metric, run or file.

Resampling statistics work on any examples with figures for given weights. Statistics of judgments are plain functions
over arrays: one entry a judgment, with the label of its item (context) and of its judge.
"""

from dialoeval.stats.adjust import adjust
from dialoeval.stats.agreement import (
    Agreement,
    agreeing_pairs,
    ceiling,
    count_table,
    fleiss_kappa,
    icc,
    krippendorff_alpha,
)
from dialoeval.stats.clusters import (
    Statistic,
    TwoWay,
    combined,
    item_interval,
    leave_one_judge_out,
    mean,
    pigeonhole_interval,
    ratio,
    severity,
    two_way_interval,
)
from dialoeval.stats.correlation import (
    Correlation,
    PairwiseAccuracy,
    Permutation,
    SegmentCorrelation,
    SystemCorrelation,
    Williams,
    correlation,
    fixed,
    item_means,
    pairwise_accuracy,
    perm_both,
    segment_correlation,
    system_correlation,
    williams_test,
)
from dialoeval.stats.davidson import Davidson, DavidsonIntervals, davidson, davidson_intervals
from dialoeval.stats.draws import Interval, Undefined
from dialoeval.stats.exact import exact_interval, sign_test
from dialoeval.stats.flips import sign_flip_p_values
from dialoeval.stats.intervals import bootstrap_intervals
from dialoeval.stats.length import EqualLength, equal_length_preference
from dialoeval.stats.paired import PairedResult, approximate_randomization, paired_bootstrap
from dialoeval.stats.pairwise import (
    Bracket,
    Counts,
    PairCounts,
    SignFlip,
    majority,
    pair_counts,
    sign_flip_means,
    sign_flip_test,
    total_bracket,
    win_tie_loss,
)

__all__ = [
    "Agreement",
    "Bracket",
    "Correlation",
    "Counts",
    "Davidson",
    "DavidsonIntervals",
    "EqualLength",
    "Interval",
    "PairCounts",
    "PairedResult",
    "PairwiseAccuracy",
    "Permutation",
    "SegmentCorrelation",
    "SignFlip",
    "Statistic",
    "SystemCorrelation",
    "TwoWay",
    "Undefined",
    "Williams",
    "adjust",
    "agreeing_pairs",
    "approximate_randomization",
    "bootstrap_intervals",
    "ceiling",
    "combined",
    "correlation",
    "count_table",
    "davidson",
    "davidson_intervals",
    "equal_length_preference",
    "exact_interval",
    "fixed",
    "fleiss_kappa",
    "icc",
    "item_interval",
    "item_means",
    "krippendorff_alpha",
    "leave_one_judge_out",
    "majority",
    "mean",
    "pair_counts",
    "paired_bootstrap",
    "pairwise_accuracy",
    "perm_both",
    "pigeonhole_interval",
    "ratio",
    "segment_correlation",
    "severity",
    "sign_flip_means",
    "sign_flip_p_values",
    "sign_flip_test",
    "sign_test",
    "system_correlation",
    "total_bracket",
    "two_way_interval",
    "williams_test",
    "win_tie_loss",
]
