"""NLTK's METEOR, which is another formula than METEOR 1.5 and knows no paraphrases."""

from __future__ import annotations

from dialoeval.errors import UserError

DESCRIPTION = "NLTK's meteor_score (not METEOR 1.5); needs NLTK's WordNet data"


def compute(hypotheses, references, contexts=None):
    """Mean of NLTK's segment scores on lower-cased words."""
    from importlib.metadata import version

    from nltk.translate.meteor_score import meteor_score

    pairs = zip(hypotheses, references, strict=True)
    judged = [(h.lower().split(), [r.lower().split() for r in refs]) for h, refs in pairs if refs]
    if not judged:
        raise UserError("nltk_meteor needs references, and no reply has one")
    try:
        scores = [meteor_score(refs, h) for h, refs in judged]
    except LookupError as error:
        raise UserError(
            "nltk_meteor needs NLTK's WordNet: python -m nltk.downloader wordnet (METEOR 1.5 needs nothing of it)"
        ) from error
    return {
        "score": sum(scores) / len(scores),
        "signature": f"nltk_meteor|tok:split-lc|nltk:{version('nltk')}",
        "n": len(judged),
    }
