"""METEOR 1.5 for English, exactly as `meteor-1.5.jar HYP REF -r N -l en -norm` computes it, without Java.

    from dialoeval.metrics.meteor15 import figures, segments, statistics

    rows = statistics(["a small cat sat"], [["the little cat sat down", "no"]])
    figures(rows.sum(axis=0))  # the score of the set
    segments(rows)             # the score of each reply

Statistics of replies add up: the score of a set, a resample or a union of shards is `figures` of the sum of their rows.

Language data is read from the installed package pycocoevalcap. The first use compiles it, and the inner loops, into
the user's cache, which takes up to a minute.

Unusual input, as in the jar:

- an empty reply, or one without words, scores 0; its row holds the lengths of the first reference;
- an empty reference scores 0; a reply without references gets a row of zeros and score 0 (the jar cannot do this);
- lone surrogates, control characters, right-to-left text and characters beyond the basic plane are words like others;
  a line break inside a text is white space (in the jar's files it would end the line);
- words are compared by Java's 32-bit string hash, so a few different words, such as "f1" and "do", match exactly.
"""

from dialoeval.metrics.meteor15.alignment import Alignment, Match, align
from dialoeval.metrics.meteor15.evaluation import corpus, segment, statistics
from dialoeval.metrics.meteor15.formula import STATISTICS, figures, segments
from dialoeval.metrics.meteor15.options import MODULES, PAPER, TASKS, VERSION, Options, signature

__all__ = [
    "MODULES",
    "PAPER",
    "STATISTICS",
    "TASKS",
    "VERSION",
    "Alignment",
    "Match",
    "Options",
    "align",
    "corpus",
    "figures",
    "segment",
    "segments",
    "signature",
    "statistics",
]
