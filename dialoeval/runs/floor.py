"""The floors and the mark beside which a run's figures are read: the constant, random and human baselines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dialoeval.config import DatasetConfig, EngineConfig, RunConfig, ScoringConfig
from dialoeval.config.compose import compose, group
from dialoeval.data.example import Dataset, Example, fingerprint
from dialoeval.errors import UserError, first_line
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.records import MARKS
from dialoeval.runs.runner import run


@dataclass(frozen=True)
class Floor:
    """The baselines of some data.

    Attributes:
        runs: their folders.
        remarks: why another is missing or has no references, a sentence each.
    """

    runs: tuple[Path, ...]
    remarks: tuple[str, ...]


def floor(folders: Sequence[RunFolder], settings: Sequence[str] = ()) -> Floor:
    """Run the baselines on the examples of complete runs, under their protocols; what is complete already stays.

    Args:
        folders: runs; of those on the same examples under the same protocol, the first decides the scoring.
        settings: ``model.baseline.dataset=OPTION`` and ``model.baseline.settings.KEY=VALUE`` of the random baseline,
            which say what its training set is.

    Raises:
        UserError: a run is not complete, or a setting is unknown.
    """
    for text in settings:
        if not re.match(r"model\.baseline\.(dataset|settings(\.\w+)*)=", text):  # the data and the rest are the runs'
            raise UserError(
                f"{text!r} is no setting of a floor: model.baseline.dataset=OPTION and "
                "model.baseline.settings.KEY=VALUE name the training set of the random one"
            )
    random = compose("config", ["model=baseline-random", *settings]).model
    models = {kind: random if kind == "random" else group("model", f"baseline-{kind}") for kind in MARKS}
    found: list[Path] = []
    remarks: list[str] = []
    for config, dataset in _data(folders):
        for kind, model in models.items():
            remark = f"no row baseline-{kind}"
            try:
                found.append(run(replace(config, model=model), dataset=dataset).folder.path)
            except UserError as error:
                remarks.append(f"{remark}: {error}")
                if kind != "human":
                    continue
                alone = replace(model, baseline=replace(model.baseline, without_references=True))
                try:
                    found.append(run(replace(config, model=alone), dataset=dataset).folder.path)
                    remarks[-1] = f"baseline-human is scored without references: {error}"
                except UserError:
                    pass  # the first error says why
    return Floor(tuple(dict.fromkeys(found)), tuple(dict.fromkeys(remarks)))


def _data(folders: Sequence[RunFolder]) -> Iterator[tuple[RunConfig, Dataset]]:
    """Yield the examples of each data set and protocol of the runs, with a configuration but for its model."""
    seen = set()
    for folder in folders:
        if folder.scores() is None or not folder.is_complete():
            raise UserError(f"{folder.path} is not complete: run it again first")
        if folder.settings().baseline == "human":  # its references may be gone
            continue
        config, dataset = _configuration(folder), _dataset(folder)
        if (key := (dataset.fingerprint, str(config.protocol))) not in seen:
            seen.add(key)
            yield config, dataset


def _dataset(folder: RunFolder) -> Dataset:
    references, human = folder.references(), folder.human_replies()
    examples = tuple(
        Example(row.id, row.context, tuple(references[row.id]), human=human.get(row.id)) for row in folder.replies()
    )
    return Dataset(str(folder.settings().dataset.get("name")), examples, fingerprint(examples))


def _configuration(folder: RunFolder) -> RunConfig:
    """Return the settings of a complete run that are not its model's.

    Raises:
        UserError: its config.yaml is of another version.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    settings, scores = folder.settings(), folder.scores()
    assert scores is not None
    try:
        read: dict[str, Any] = {
            name: OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), settings.sections.get(name) or {}))
            for name, schema in (("dataset", DatasetConfig), ("scoring", ScoringConfig))
        }
    except OmegaConfBaseException as error:
        raise UserError(f"cannot read {folder.settings_file}: {first_line(error)}") from error
    decoding = group("decoding", "greedy")
    seed, reports_dir = settings.seed or 0, str(folder.path.parent)
    return RunConfig(
        decoding=decoding, protocol=scores.protocol, engine=EngineConfig(), seed=seed, reports_dir=reports_dir, **read
    )
