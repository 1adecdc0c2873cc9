"""A preview of a run: how its data is read, and what its model will read. Nothing is generated or written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from dialoeval import data
from dialoeval.config import RunConfig
from dialoeval.data.columns import shown
from dialoeval.data.example import Dataset, Example
from dialoeval.generation import open_generator
from dialoeval.generation.checkpoint import with_checkpoint_settings
from dialoeval.generation.types import Generator
from dialoeval.runs.human import with_human
from dialoeval.text.guards import check_examples

EXAMPLES = 3
REFERENCES = 5  # of an example that are shown
_LONGEST = 300  # characters of a text that are shown


def preview(config: RunConfig) -> str:
    """Return how the data of a run is read, three examples with their prompts, and the warnings.

    Raises:
        UserError: as a run: the data or the model cannot be read.
    """
    with _opened(config) as (config, dataset, generator):
        lines = [*_head(config, dataset), "", *_examples(config, dataset, generator), *_warnings(dataset)]
    return "\n".join(lines) + "\n"


def preview_json(config: RunConfig) -> dict[str, Any]:
    """Return what `preview` shows as JSON values, with texts and references whole.

    Raises:
        UserError: as `preview`.
    """
    with _opened(config) as (config, dataset, generator):
        examples = [
            asdict(example) | {"prompt": generator.prompt_text(example, config.decoding)}
            for example in dataset.examples[:EXAMPLES]
        ]
    return {
        "dataset": dataset.name,
        "path": config.dataset.path,
        "examples": len(dataset.examples),
        "reading": None if dataset.reading is None else asdict(dataset.reading),
        "skipped": [list(line) for line in dataset.skipped],
        "first": examples,
        "warnings": [warning.removeprefix("warning: ") for warning in _warnings(dataset)],
    }


@contextlib.contextmanager
def _opened(config: RunConfig) -> Iterator[tuple[RunConfig, Dataset, Generator]]:
    """Open what a preview needs; the configuration has the checkpoint's own settings where it asks for them."""
    config = with_checkpoint_settings(config)
    dataset = with_human(config, data.load(replace(config.dataset, allow_empty_context=True)))
    generator = open_generator(config.model, config.engine, config.decoding)
    try:
        if config.model.baseline.kind is not None:
            generator.check_data(config.dataset, dataset.examples)
        yield config, dataset, generator
    finally:
        generator.close()


def _head(config: RunConfig, dataset: Dataset) -> Iterator[str]:
    where = f" ({config.dataset.path})" if config.dataset.path else ""
    yield f"dataset: {dataset.name}{where}"
    reading = dataset.reading
    if reading is not None:
        yield f"format: {reading.format}"
        if reading.columns:
            yield f"columns: {shown(reading.columns)}"
        if reading.settings:
            told = " (told by the columns; change it with these settings)" if reading.guessed else ""
            if reading.unread:
                yield f"not read: {shown(reading.unread)}"
            yield f"read with: {' '.join(reading.settings)}{told}"
    references = [len(example.references) for example in dataset.examples]
    low, high = min(references), max(references)
    yield (
        f"examples: {len(references)}, references of each: {low if low == high else f'{low} to {high}'}"
        + (f" (the first {config.dataset.limit}: dataset.limit)" if len(references) == config.dataset.limit else "")
    )
    systems = sum(example.system is not None for example in dataset.examples)
    if systems:
        used = config.reads_system_texts
        yield f"system texts: {systems}" + ("" if used else f", not used: model.prompt={config.model.prompt} has none")
    for what, count in (reading.counts if reading else {}).items():
        yield f"counted: {count} {what}"
    if dataset.skipped:
        place, why = dataset.skipped[0]
        yield f"skipped: {len(dataset.skipped)} bad rows, the first: {place}: {why}"


def _examples(config: RunConfig, dataset: Dataset, generator: Generator) -> Iterator[str]:
    for example in dataset.examples[:EXAMPLES]:
        yield f"example {example.id}"
        if example.system is not None:
            yield f"  system: {_line(example.system)}"
        yield from (
            f"  {speaker}{_line(turn)}" for speaker, turn in zip(_speakers(example), example.context, strict=True)
        )
        replier = f" {example.speakers[-1]}:" if len(example.speakers) > len(example.context) else ""
        yield from (f"  =>{replier} {_line(reference)}" for reference in example.references[:REFERENCES])
        if len(example.references) > REFERENCES:
            yield f"  => and {len(example.references) - REFERENCES} more"
        if example.human is not None:
            yield f"  human reply, no reference: {_line(example.human)}"
        yield f"  prompt: {generator.prompt_text(example, config.decoding)!r}"
        yield ""


def _speakers(example: Example) -> list[str]:
    """Return what stands before each turn of the context."""
    names = example.speakers[: len(example.context)]
    return [f"{name}: " if name else "- " for name in names] or ["- "] * len(example.context)


def _line(text: str) -> str:
    """Return a text on one line, cut if it is long."""
    line = " ".join(text.splitlines())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}... ({len(line)} characters)"


def _warnings(dataset: Dataset) -> Iterator[str]:
    contexts, references, ids = zip(*((e.context, e.references, e.id) for e in dataset.examples), strict=True)
    for finding in check_examples(contexts, references, ids):
        if finding.kind == "empty_contexts":
            yield (
                f"warning: {finding.count} of {finding.total} examples have an empty context, which a run refuses "
                "(dataset.allow_empty_context=true goes on)"
            )
        else:
            yield f"warning: {finding.message}"
