"""How many replies a low precision changes: a sample of them is generated again in float32."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dialoeval.config import Dtype, RunConfig
from dialoeval.data.example import Example
from dialoeval.errors import UserError, is_out_of_memory
from dialoeval.generation import open_generator
from dialoeval.runs.records import Precision, ReplyRow
from dialoeval.stats import exact_interval

_LOG = logging.getLogger(__name__)


def compare_with_float32(
    config: RunConfig, examples: Sequence[Example], rows: Mapping[str, ReplyRow]
) -> Precision | None:
    """Generate ``engine.precision_sample`` replies, evenly spaced over the dataset, in float32 and compare.

    The engine is the same and its draws are keyed, so that precision is all that differs.

    Args:
        config: of the run, whose precision is compared.
        examples: of the dataset.
        rows: {id: reply}, for every example.

    Returns:
        None in float32, if no comparison is asked for, or if memory does not suffice.

    Raises:
        UserError: as `open_generator` and the generator.
    """
    engine = config.engine
    size = min(engine.precision_sample, len(examples))
    if engine.dtype == Dtype.fp32 or size == 0:
        return None
    sample = [examples[i * len(examples) // size] for i in range(size)]
    try:
        exact = _in_float32(config, sample)
    except (MemoryError, RuntimeError, UserError) as error:
        if not (is_out_of_memory(error) or (isinstance(error, UserError) and "memory" in str(error))):
            raise
        _LOG.warning("not compared with float32: out of memory (engine.precision_sample=0 turns the comparison off)")
        return None
    differing = sorted(name for name, reply in exact.items() if reply != (rows[name].reply, rows[name].tokens))
    low, high = exact_interval(len(differing), size)
    return Precision(
        dtype=engine.dtype,
        sample=size,
        differing=len(differing),
        share=round(len(differing) / size, 6),
        interval=(round(low, 6), round(high, 6)),
        ids=tuple(differing),
    )


def _in_float32(config: RunConfig, examples: Sequence[Example]) -> dict[str, tuple[str, int]]:
    """Return {id: (reply, its tokens)}."""
    generator = open_generator(config.model, replace(config.engine, dtype=Dtype.fp32), config.decoding)
    try:
        return {r.id: (r.text, r.tokens) for r in generator.reply(examples, config.decoding, config.seed)}
    finally:
        generator.close()
