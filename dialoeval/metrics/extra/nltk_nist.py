"""NLTK's NIST, which gives other figures than mteval (far lower ones with several references)."""

from __future__ import annotations

from dialoeval.errors import UserError

DESCRIPTION = "NLTK's corpus_nist (not the paper's NIST: far lower with several references)"


def compute(hypotheses, references, contexts=None):
    """corpus_nist of order 4 on lower-cased words."""
    from importlib.metadata import version

    from nltk.translate.nist_score import corpus_nist

    pairs = zip(hypotheses, references, strict=True)
    judged = [(h.lower().split(), [r.lower().split() for r in refs]) for h, refs in pairs if refs]
    if not judged:
        raise UserError("nltk_nist needs references, and no reply has one")
    try:
        score = corpus_nist([refs for _, refs in judged], [h for h, _ in judged], n=4)
    except ZeroDivisionError:  # NLTK divides by the number of n-grams of every order
        score = 0.0
    return {"score": score, "signature": f"nltk_nist|n:4|tok:split-lc|nltk:{version('nltk')}", "n": len(judged)}
