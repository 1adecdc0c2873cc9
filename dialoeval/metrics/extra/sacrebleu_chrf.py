"""sacrebleu's chrF2, 0..100."""

from dialoeval.metrics.extra._sacre import corpus

DESCRIPTION = "sacrebleu's chrF2, 0..100"


def compute(hypotheses, references, contexts=None):
    """sacrebleu's figure and signature."""
    from sacrebleu.metrics import CHRF

    return corpus(CHRF(), hypotheses, references)
