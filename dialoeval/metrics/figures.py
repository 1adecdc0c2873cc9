"""Names of the paper's metrics and figures."""

from __future__ import annotations

# Flat names of the figures, in the order of the paper's tables.
FIGURES = (
    *(f"nist{n}" for n in range(1, 6)),
    *(f"bleu{n}" for n in range(1, 5)),
    "meteor",
    *(f"entropy{n}" for n in range(1, 5)),
    "distinct1",
    "distinct2",
    "avg_len",
)

PAPER_METRICS = {
    "nist": "NIST-1..5, cumulative, as mteval-v14 prints it",
    "bleu": "BLEU-1..4, cumulative, as mteval-v14 prints it (0..1)",
    "meteor": "METEOR 1.5, as meteor-1.5.jar -l en -norm prints it (0..1)",
    "entropy": "entropy of the 1..4-gram distribution of all replies, in nats",
    "distinct": "distinct 1,2-grams over all 1,2-grams of all replies (0..1)",
    "avg_len": "mean words a reply, empty ones counted as 0",
}
