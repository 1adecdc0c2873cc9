"""sacrebleu's translation edit rate, in percent; lower is better."""

from dialoeval.metrics.extra._sacre import corpus

DESCRIPTION = "sacrebleu's translation edit rate, in percent; lower is better"


def compute(hypotheses, references, contexts=None):
    """sacrebleu's figure and signature."""
    from sacrebleu.metrics import TER

    return corpus(TER(), hypotheses, references)
