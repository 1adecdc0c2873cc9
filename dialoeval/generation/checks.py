"""Checks that settings say one thing, before a model is loaded."""

from __future__ import annotations

import math

from dialoeval.config import DecodingConfig, EngineConfig
from dialoeval.errors import UserError

DTYPES = ("fp32", "bf16", "fp16")


def check_decoding(decoding: DecodingConfig) -> None:
    """Refuse settings out of range, and settings that would be silently without effect.

    Raises:
        UserError: naming the setting.
    """
    sampling, beam = decoding.strategy == "sample", decoding.strategy == "beam"
    _check_ranges("decoding", decoding, (
        ("num_beams", decoding.num_beams >= 1, "at least 1"),
        ("length_penalty", math.isfinite(decoding.length_penalty), "a number"),
        ("early_stopping", decoding.early_stopping in ("never",) or isinstance(decoding.early_stopping, bool),
         "true, false or never"),
        ("temperature", 0 < decoding.temperature < math.inf, "above 0 (for 0 take decoding.strategy=greedy)"),
        ("top_k", decoding.top_k >= 0, "0 (off) or more"),
        ("top_p", 0 < decoding.top_p <= 1, "above 0 and at most 1"),
        ("typical_p", 0 < decoding.typical_p <= 1, "above 0 and at most 1"),
        ("min_p", 0 <= decoding.min_p <= 1, "between 0 and 1"),
        ("repetition_penalty", 0 < decoding.repetition_penalty < math.inf, "above 0"),
        ("no_repeat_ngram_size", decoding.no_repeat_ngram_size >= 0, "0 (off) or more"),
        ("max_new_tokens", decoding.max_new_tokens >= 1, "at least 1"),
        ("min_new_tokens", 0 <= decoding.min_new_tokens <= decoding.max_new_tokens, "from 0 to max_new_tokens"),
        ("num_candidates", decoding.num_candidates >= 1, "at least 1"),
        ("mmi_lambda", 0 <= decoding.mmi_lambda <= 1, "between 0 and 1"),
    ))  # fmt: skip
    draws = {"temperature": 1, "top_k": 0, "top_p": 1, "typical_p": 1, "min_p": 0, "num_candidates": 1}
    for name, off in draws.items():
        if not sampling and getattr(decoding, name) != off:
            raise UserError(
                f"decoding.{name}={getattr(decoding, name)} has no effect: decoding.strategy={decoding.strategy} draws "
                "nothing (decoding.strategy=sample does)"
            )
    for name, off in {"num_beams": 1, "length_penalty": 1, "early_stopping": False}.items():
        if not beam and getattr(decoding, name) != off:
            raise UserError(f"decoding.{name}={getattr(decoding, name)} has no effect without decoding.strategy=beam")
    if decoding.num_candidates > 1 and decoding.rerank == "none":
        raise UserError("decoding.num_candidates above 1 needs decoding.rerank=mmi or classifier, to choose one")
    if decoding.rerank != "none" and decoding.num_candidates < 2:
        raise UserError(
            f"decoding.rerank={decoding.rerank} chooses among sampled candidates: decoding.strategy=sample and "
            "decoding.num_candidates of 2 or more"
        )
    if decoding.rerank != "mmi" and (decoding.mmi_lambda != 1 or not decoding.mmi_length_normalised):
        raise UserError("decoding.mmi_lambda and mmi_length_normalised have no effect without decoding.rerank=mmi")


def check_engine(engine: EngineConfig) -> None:
    """Refuse settings out of range.

    Raises:
        UserError: naming the setting.
    """
    _check_ranges("engine", engine, (
        ("dtype", engine.dtype in DTYPES, f"one of {', '.join(DTYPES)}"),
        ("precision_sample", engine.precision_sample >= 0, "0 (none) or more"),
        ("chunk", engine.chunk >= 0, "0 (chosen) or more"),
        ("batch_tokens", engine.batch_tokens >= 0, "0 (chosen) or more"),
        ("slots", engine.slots >= 0, "0 (chosen) or more"),
        ("workers", engine.workers >= 0, "0 (one a core) or more"),
        ("concurrency", engine.concurrency >= 1, "at least 1"),
        ("requests_per_minute", engine.requests_per_minute >= 0, "0 (no limit) or more"),
        ("timeout", 0 < engine.timeout < math.inf, "above 0"),
        ("retries", engine.retries >= 0, "0 or more"),
    ))  # fmt: skip


def _check_ranges(group: str, config: object, ranges: tuple[tuple[str, bool, str], ...]) -> None:
    for name, good, allowed in ranges:
        if not good:
            raise UserError(f"{group}.{name}={getattr(config, name)}: must be {allowed}")
