"""sacrebleu's corpus BLEU (13a tokenizer, exp smoothing), 0..100."""

from dialoeval.metrics.extra._sacre import corpus

DESCRIPTION = "sacrebleu's corpus BLEU (13a tokenizer, exp smoothing), 0..100"


def compute(hypotheses, references, contexts=None):
    """sacrebleu's figure and signature."""
    from sacrebleu.metrics import BLEU

    return corpus(BLEU(), hypotheses, references)
