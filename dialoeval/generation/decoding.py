"""Checks that a decoding configuration says one thing, before a model is loaded."""

from __future__ import annotations

from dialoeval.config import DecodingConfig
from dialoeval.errors import UserError


def check_decoding(decoding: DecodingConfig) -> None:
    """Refuse settings out of range, and settings that would be silently without effect.

    Raises:
        UserError: naming the setting.
    """
    ranges = (
        ("num_beams", decoding.num_beams >= 1, "at least 1"),
        ("temperature", decoding.temperature > 0, "above 0"),
        ("top_k", decoding.top_k >= 0, "0 (off) or more"),
        ("top_p", 0 < decoding.top_p <= 1, "above 0 and at most 1"),
        ("typical_p", 0 < decoding.typical_p <= 1, "above 0 and at most 1"),
        ("min_p", 0 <= decoding.min_p <= 1, "between 0 and 1"),
        ("repetition_penalty", decoding.repetition_penalty > 0, "above 0"),
        ("no_repeat_ngram_size", decoding.no_repeat_ngram_size >= 0, "0 (off) or more"),
        ("max_new_tokens", decoding.max_new_tokens >= 1, "at least 1"),
        ("min_new_tokens", 0 <= decoding.min_new_tokens <= decoding.max_new_tokens, "from 0 to max_new_tokens"),
        ("num_candidates", decoding.num_candidates >= 1, "at least 1"),
        ("early_stopping", decoding.early_stopping in (True, False, "never"), "true, false or never"),
        ("mmi_lambda", 0 <= decoding.mmi_lambda <= 1, "between 0 and 1"),
    )
    for name, good, allowed in ranges:
        if not good:
            raise UserError(f"decoding.{name}={getattr(decoding, name)}: must be {allowed}")
    sampling = (
        decoding.temperature != 1 or decoding.top_k > 0 or decoding.top_p < 1 or decoding.typical_p < 1
    ) or decoding.min_p > 0
    if decoding.strategy != "sample" and (sampling or decoding.num_candidates > 1):
        raise UserError(
            f"decoding.strategy={decoding.strategy} draws nothing: temperature, top_k, top_p, typical_p, min_p and "
            "num_candidates need decoding.strategy=sample"
        )
    if decoding.strategy != "beam" and decoding.num_beams > 1:
        raise UserError(f"decoding.num_beams={decoding.num_beams} needs decoding.strategy=beam")
    if decoding.num_candidates > 1 and decoding.rerank == "none":
        raise UserError("decoding.num_candidates above 1 needs decoding.rerank=mmi or classifier, to choose one")
    if decoding.rerank != "none" and decoding.strategy != "sample":
        raise UserError(f"decoding.rerank={decoding.rerank} chooses among sampled candidates: decoding.strategy=sample")
