"""How many replies a low precision changes: a sample of them is generated again in float32."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dialoeval.config import RunConfig
from dialoeval.data.example import Example
from dialoeval.errors import UserError, is_out_of_memory
from dialoeval.generation import open_generator
from dialoeval.stats import exact_interval


def compare_with_float32(config: RunConfig, examples: Sequence[Example], rows: dict[str, dict[str, Any]]) -> Any:
    """Generate ``engine.precision_sample`` replies, evenly spaced over the dataset, in float32 and compare.

    The engine is the same and its draws are keyed, so that precision is all that differs.

    Args:
        rows: id -> row of replies.jsonl, for every example.

    Returns:
        None in float32, where nothing is asked for, and where memory does not suffice. Else a dict: dtype, sample
        (replies compared), differing, share, interval (95%, exact), and the ids that differ.

    Raises:
        UserError: as `open_generator` and the generator.
    """
    engine = config.engine
    size = min(engine.precision_sample, len(examples))
    if engine.dtype == "fp32" or size == 0:
        return None
    chosen = [examples[i * len(examples) // size] for i in range(size)]
    try:
        exact = _in_float32(config, chosen)
    except (MemoryError, RuntimeError, UserError) as error:
        if not (is_out_of_memory(error) or (isinstance(error, UserError) and "memory" in str(error))):
            raise
        print(
            "not compared with float32, for want of memory (engine.precision_sample=0 asks for no comparison)",
            file=sys.stderr,
        )
        return None
    differing = [name for name, reply in exact.items() if reply != (rows[name]["reply"], rows[name]["tokens"])]
    return {
        "dtype": engine.dtype,
        "sample": size,
        "differing": len(differing),
        "share": round(len(differing) / size, 6),
        "interval": [round(edge, 6) for edge in exact_interval(len(differing), size)],
        "ids": sorted(differing),
    }


def _in_float32(config: RunConfig, examples: Sequence[Example]) -> dict[str, tuple[str, int]]:
    """id -> (reply, its tokens)."""
    generator = open_generator(config.model, replace(config.engine, dtype="fp32"), config.decoding)
    try:
        return {r.id: (r.text, r.tokens) for r in generator.reply(examples, config.decoding, config.seed)}
    finally:
        generator.close()
