"""Scores of metrics for the systems of a study: from runs, or from a file of segments or of whole systems."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dialoeval.data.content import content
from dialoeval.data.formats import Format, detect, rows
from dialoeval.errors import UserError, nearest
from dialoeval.files import read_json
from dialoeval.runs.folder import find
from dialoeval.runs.reader import LoadedRun, load_run
from dialoeval.runs.records import is_number

LENGTH = "length"  # words of a reply; listed with all metrics
_TEXTS = ("cleaned", "reply", "hypothesis", "prediction", "output")  # fields whose words are counted, the first found
_IDS = ("id", "example_id", "context")


@dataclass
class MetricScores:
    """Scores of metrics.

    Attributes:
        segments: {metric: {(system, context): score of the reply}}.
        systems: {metric: {system: figure of the whole system}}.
        notes: about what is missing.
    """

    segments: dict[str, dict[tuple[str, str], float]] = field(default_factory=dict)
    systems: dict[str, dict[str, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def table(self, metric: str, systems: Sequence[str], contexts: Sequence[str]) -> np.ndarray:
        """Return (contexts, systems) scores of a metric, NaN where there is none."""
        scores = self.segments[metric]
        return np.array([[scores.get((system, context), np.nan) for system in systems] for context in contexts])


def ordered(metrics: Mapping[str, Any]) -> list[str]:
    """Return the names of metrics, length last."""
    return [name for name in metrics if name != LENGTH] + ([LENGTH] if LENGTH in metrics else [])


def parse_names(texts: Sequence[str], systems: Sequence[str]) -> dict[str, str]:
    """Return {name in a file of scores: system of the study} of entries such as ``Baseline (constant)=Constant``.

    Raises:
        UserError: an entry is malformed, or the study has no such system.
    """
    names = {}
    for text in texts:
        name, equals, system = (part.strip() for part in text.rpartition("="))
        if not equals or not name or not system:
            raise UserError(f"--name {text}: expected NAME=SYSTEM, such as Baseline (constant)=Constant")
        if system not in systems:
            raise UserError(f"--name {text}: no system {system!r}{nearest(system, systems)} ({', '.join(systems)})")
        names[name] = system
    return names


@dataclass(frozen=True)
class Judged:
    """What was judged.

    Attributes:
        systems: names.
        contexts: ids.
        folders: {system: folder of its run} of a study that was made from runs.
        replies: {(system, context): text} of a study, whose judgments belong to these texts; empty where unknown.
    """

    systems: Sequence[str]
    contexts: Collection[str]
    folders: Mapping[str, str] = field(default_factory=dict)
    replies: Mapping[tuple[str, str], str] = field(default_factory=dict)


def add_run(scores: MetricScores, text: str, judged: Judged) -> None:
    """Add the scores of a run.

    Args:
        scores: to add to.
        text: the run, or SYSTEM=RUN.
        judged: what people judged.

    Raises:
        UserError: the run cannot be read, it is not known which system it is, or its replies were not judged.
    """
    systems, folders = judged.systems, judged.folders
    system, equals, name = text.partition("=")
    run = load_run(find(name if equals and system in systems else text))
    if not equals or system not in systems:
        same = [key for key, folder in folders.items() if Path(folder).resolve() == run.path.resolve()]
        named = [key for key in systems if key in (run.name, run.settings.name)]
        found = same or named
        if len(found) != 1:
            raise UserError(
                f"{text}: not known which system this run is: give SYSTEM=RUN (systems: {', '.join(systems)})"
            )
        system = found[0]
    _check_replies(run, text, system, judged)
    for metric, values in run.segments.items():
        into = scores.segments.setdefault(metric, {})
        into |= {(system, key): value for key, value in zip(run.ids, values, strict=True) if value is not None}
    lengths = scores.segments.setdefault(LENGTH, {})
    lengths |= {(system, key): float(len(reply.split())) for key, reply in zip(run.ids, run.hypotheses, strict=True)}
    for figure in run.scores.figures:
        value = run.scores.get(figure)
        if value is not None:
            scores.systems.setdefault(f"{figure} (corpus)", {})[system] = value


def _check_replies(run: LoadedRun, text: str, system: str, judged: Judged) -> None:
    """Check that a run's examples and replies are those that people judged.

    Raises:
        UserError: no example was judged, or a reply is another one.
    """
    if judged.contexts and not set(run.ids) & set(judged.contexts):
        raise UserError(
            f"{text}: none of its {len(run.ids):,} examples is one of the {len(judged.contexts):,} judged contexts"
        )
    for key, reply in zip(run.ids, run.hypotheses, strict=True):
        if judged.replies.get((system, key), reply) != reply:
            raise UserError(
                f"{text}: its reply to {key} is not the one of {system} that was judged: judgments belong to the "
                "texts judged"
            )


def add_file(scores: MetricScores, path: str, systems: Sequence[str], names: Mapping[str, str]) -> None:
    """Add the scores of a file: rows of segments (system, id, a column a metric), or one object of systems' figures.

    Raises:
        UserError: the file cannot be read, it says two things of a segment, or none of its systems is one of the
            study.
    """
    form = detect(content(path))
    value = read_json(path) if form == Format.json else None
    if isinstance(value, dict) and isinstance(value.get("systems"), dict):
        _add_systems(scores, path, value["systems"], systems, names)
        return
    found: dict[str, int] = {}
    read: dict[tuple[str, str, str], float] = {}
    without_length = False
    for row in rows(content(path), form):
        if isinstance(row.value, UserError):
            raise UserError(f"{row.where}: {row.value}")
        system, key = _place(dict(row.value), row.where, names, systems)
        found[system] = found.get(system, 0) + 1
        if system not in systems:
            continue
        for metric, figure in _figures(dict(row.value), row.where):
            if read.setdefault((metric, system, key), figure) != figure:
                raise UserError(
                    f"{row.where}: {metric} of {system} for {key} is {figure:g}, and an earlier row says "
                    f"{read[metric, system, key]:g}"
                )
            scores.segments.setdefault(metric, {})[system, key] = figure
        without_length |= (system, key) not in scores.segments.get(LENGTH, {})
    if not set(found) & set(systems):
        raise UserError(
            f"{path}: none of its systems ({', '.join(list(found)[:10])}) is one of the study ({', '.join(systems)}): "
            "map them with --name NAME=SYSTEM"
        )
    if without_length:
        scores.notes.append(f"length: {path} has neither lengths nor replies for some segments")
    if strangers := [name for name in found if name not in systems]:
        scores.notes.append(f"{path}: systems that were not judged are left out: {', '.join(strangers)}")


def _add_systems(
    scores: MetricScores, path: str, values: Mapping[str, Any], systems: Sequence[str], names: Mapping[str, str]
) -> None:
    known = {names.get(name, name): figures for name, figures in values.items()}
    if not set(known) & set(systems):
        raise UserError(
            f"{path}: none of its systems ({', '.join(list(values)[:10])}) is one of the study ({', '.join(systems)}): "
            "map them with --name NAME=SYSTEM"
        )
    for system in systems:
        figures = known.get(system) or {}
        if not isinstance(figures, dict):
            raise UserError(f'{path}: "systems", {system}: expected an object of figures, not {figures!r}')
        for metric, figure in figures.items():
            if isinstance(figure, float) and not is_number(figure):
                raise UserError(f'{path}: "systems", {system}: {metric} is {figure!r}, not a finite number')
            if is_number(figure) and metric != "n_lines":
                scores.systems.setdefault(LENGTH if metric == "avg_len" else metric, {})[system] = float(figure)


def _place(row: Mapping[str, Any], where: str, names: Mapping[str, str], systems: Sequence[str]) -> tuple[str, str]:
    """Return the system and the context of a row."""
    key = next((row[name] for name in _IDS if row.get(name) not in (None, "")), None)
    if key is None:
        raise UserError(f'{where}: field "id" is missing (columns: {", ".join(map(str, row))})')
    system = row.get("system")
    if system in (None, "") and len(systems) > 1:
        raise UserError(f'{where}: field "system" is missing: the study has {len(systems)} systems')
    name = systems[0] if system in (None, "") else str(system)
    return names.get(name, name), str(key)


def _figures(row: Mapping[str, Any], where: str) -> list[tuple[str, float]]:
    """Return the figures of a row, its length among them if it can be known."""
    figures = []
    for name, value in row.items():
        if name in ("system", *_IDS, *_TEXTS) or value in (None, ""):
            continue
        try:
            number = float(value)
        except (TypeError, ValueError):
            continue
        if not np.isfinite(number):
            raise UserError(f'{where}: field "{name}" is {value!r}, not a finite number')
        figures.append((str(name), number))
    if LENGTH not in row:
        text = next((row[name] for name in _TEXTS if isinstance(row.get(name), str)), None)
        if text is not None:
            figures.append((LENGTH, float(len(text.split()))))
    return figures
