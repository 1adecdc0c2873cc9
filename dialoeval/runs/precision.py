"""How many replies a low precision changes: a sample of them is generated again in float32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dialoeval.config import RunConfig
from dialoeval.data.example import Example
from dialoeval.generation import open_generator
from dialoeval.stats import exact_interval


def compare_with_float32(config: RunConfig, examples: Sequence[Example], rows: dict[str, dict[str, Any]]) -> Any:
    """Generate ``engine.precision_sample`` replies, evenly spaced over the dataset, in float32 and compare.

    The engine is the same and its draws are keyed, so that precision is all that differs.

    Args:
        rows: id -> row of replies.jsonl, for every example.

    Returns:
        None in float32, where nothing is asked for, and for engines whose draws or memory do not allow it (openai,
        vllm). Else a dict: dtype, sample (replies compared), differing, share, interval (95%, exact), and the ids that
        differ.

    Raises:
        UserError: as `open_generator` and the generator.
    """
    engine = config.engine
    size = min(engine.precision_sample, len(examples))
    if engine.dtype == "fp32" or size == 0 or str(engine.name) in ("openai", "vllm"):
        return None
    chosen = [examples[i * len(examples) // size] for i in range(size)]
    generator = open_generator(config.model, replace(engine, dtype="fp32"), config.decoding)
    try:
        exact = {
            reply.id: (reply.text, reply.tokens) for reply in generator.reply(chosen, config.decoding, config.seed)
        }
    finally:
        generator.close()
    differing = [name for name, reply in exact.items() if reply != (rows[name]["reply"], rows[name]["tokens"])]
    return {
        "dtype": engine.dtype,
        "sample": size,
        "differing": len(differing),
        "share": round(len(differing) / size, 6),
        "interval": [round(edge, 6) for edge in exact_interval(len(differing), size)],
        "ids": sorted(differing),
    }
