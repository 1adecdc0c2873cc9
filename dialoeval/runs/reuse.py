"""Replies of other runs that differ in their examples alone, so that a raised limit generates only what is missing."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dialoeval.config import RunConfig
from dialoeval.config.schema import BaselineKind
from dialoeval.data.example import Example, fingerprint
from dialoeval.errors import UserError
from dialoeval.files import dumps, read_json, write_json
from dialoeval.generation.types import Generator
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.records import ReplyRow, Status


@dataclass(frozen=True)
class Reused:
    """What a run took from others.

    Attributes:
        runs: {name of the other run's folder: ids of the replies}.
    """

    runs: dict[str, tuple[str, ...]]

    @property
    def ids(self) -> set[str]:
        """The ids of all replies taken."""
        return {name for ids in self.runs.values() for name in ids}

    def counts(self) -> dict[str, int]:
        """Return {name of the other run's folder: number of replies}."""
        return {run: len(ids) for run, ids in self.runs.items()}


def may_reuse(config: RunConfig, generator: Generator) -> bool:
    """Return whether a reply depends on nothing but its context, its id and the identity without the dataset.

    It may depend on the batch in less than float32, and if random draws are not keyed by the example. The human
    baseline's depends on the references.
    """
    if config.model.baseline.kind == BaselineKind.human:
        return False
    exact = generator.identity().get("dtype", "fp32") == "fp32"
    keyed = not config.draws or generator.keyed_draws
    return exact and keyed


def take(
    folder: RunFolder,
    identity: dict[str, Any],
    examples: Sequence[Example],
    *,
    system_texts: bool,
    refusals: bool = True,
) -> Reused:
    """Copy the replies of complete runs beside `folder` that differ from it in the dataset alone.

    An example is the same if its id and its context are. Which replies were copied is written before they are, so that
    a resumed run plans its chunks as the first attempt did.

    Args:
        folder: of this run.
        identity: of this run.
        examples: of this run.
        system_texts: whether the prompt reads them. A row of replies does not tell them: then only runs whose examples
            are the first ones here, by their fingerprint, are taken from.
        refusals: whether a server's recorded refusals are taken too; a run that stops at a refusal asks again.

    Raises:
        UserError: the folder cannot be written.
    """
    missing = {example.id: example.context for example in examples}
    taken: dict[str, list[ReplyRow]] = {}
    for other in _others(folder, identity):
        if not missing:
            break
        if system_texts and not _are_the_first(other, examples):
            continue
        rows = [
            row for row in other.replies() if missing.get(row.id) == row.context and (refusals or row.refusal is None)
        ]
        for row in rows:
            del missing[row.id]
        if rows:
            taken[other.path.name] = rows
    reused = Reused({run: tuple(row.id for row in rows) for run, rows in taken.items()})
    if taken:
        write_json(folder.reused_file, {run: list(ids) for run, ids in reused.runs.items()})
        folder.append(row for rows in taken.values() for row in rows)
    return reused


def _are_the_first(other: RunFolder, examples: Sequence[Example]) -> bool:
    """Return whether the examples of another run are the first of these: ids, contexts, references, system texts."""
    manifest = other.existing_manifest()
    return manifest.identity.get("dataset") == fingerprint(examples[: manifest.examples])


def taken_before(folder: RunFolder) -> Reused | None:
    """Return what an earlier attempt took, or None if it took nothing.

    Raises:
        UserError: the record of it is damaged.
    """
    if not folder.reused_file.exists():
        return None
    value = read_json(folder.reused_file)
    if not isinstance(value, dict) or not all(isinstance(ids, list) for ids in value.values()):
        raise UserError(f"{folder.reused_file} is damaged: delete it; the missing replies are generated")
    return Reused({str(run): tuple(map(str, ids)) for run, ids in value.items()})


def _others(folder: RunFolder, identity: dict[str, Any]) -> Iterator[RunFolder]:
    """Yield the complete, undamaged runs beside a folder whose identity is the given one but for the dataset."""
    wanted = {key: value for key, value in json.loads(dumps(identity)).items() if key != "dataset"}
    for file in sorted(folder.path.parent.glob("*/manifest.json")):
        other = RunFolder(file.parent)
        with contextlib.suppress(UserError, OSError):  # a damaged run is not this run's concern
            manifest = other.manifest()
            if manifest is None or manifest.status != Status.complete or other.path == folder.path:
                continue
            settings = {key: value for key, value in manifest.identity.items() if key != "dataset"}
            if settings == wanted and other.is_complete() and other.replies():
                yield other
