"""The human baseline's replies: those that no system of the comparison is scored against."""

from __future__ import annotations

from dataclasses import replace

from dialoeval.config import RunConfig
from dialoeval.config.schema import BaselineKind
from dialoeval.data.example import Dataset, Example, fingerprint, human_reply
from dialoeval.errors import UserError
from dialoeval.metrics.protocol import holds_out


def with_human(config: RunConfig, dataset: Dataset) -> Dataset:
    """Return a run's dataset, with the human reply of each example where the human baseline replies.

    The human reply is the one that the data hold apart from the references (the 6K Reddit set), or the reference that
    the protocol holds out (DSTC-7). ``model.baseline.without_references`` leaves no reference to score it against; the
    human reply is then the first reference if nothing else says which it is.

    Raises:
        UserError: an example has no such reply, or no other reference than it.
    """
    baseline = config.model.baseline
    if baseline.kind != BaselineKind.human:
        return dataset
    examples = [_held(config, example) for example in dataset.examples]
    found = [example for example in examples if example is not None]
    if len(found) < len(examples):
        raise _refusal(config, dataset, [e for e, held in zip(dataset.examples, examples, strict=True) if held is None])
    return replace(dataset, examples=tuple(found), fingerprint=fingerprint(found))


def _held(config: RunConfig, example: Example) -> Example | None:
    """Return the example with its human reply, or None if it has none that it is not scored against."""
    references, held_out = example.references, config.protocol.held_out
    if config.model.baseline.without_references:
        reply = human_reply(example.human, references, held_out or 0)
        return None if reply is None else replace(example, human=reply, references=())
    if example.human is None and references and not holds_out(references, config.protocol):
        return None
    reply = human_reply(example.human, references, held_out)
    return None if reply is None else replace(example, human=reply)


def _refusal(config: RunConfig, dataset: Dataset, lacking: list[Example]) -> UserError:
    held_out, first = config.protocol.held_out, lacking[0]
    count = f"{len(lacking)} of {len(dataset.examples)} examples of {dataset.name}"
    alone = "model.baseline.without_references=true gives its entropy, distinct-n and length alone"
    if config.model.baseline.without_references:
        return UserError(f"{count} have no reference, and so no human reply (the first: {first.id!r})")
    if held_out is None:
        return UserError(
            f"{count} have no human reply apart from the references, and a reference scored against itself means "
            "nothing: set protocol.held_out=INDEX (from 0) for every row of the comparison, which takes that reference "
            f"out of the references, if all examples have others; {alone}"
        )
    if len(first.references) <= held_out:
        return UserError(
            f"{count} have no human reply: the protocol holds out the reference of index {held_out}, and the first of "
            f"them, {first.id!r}, has {len(first.references)}"
        )
    return UserError(
        f"{count} have no reference beside the human reply (the first: {first.id!r}): it would be scored against "
        f"itself; {alone}"
    )
