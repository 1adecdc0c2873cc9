"""Reading complete runs for tables, comparisons and pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dialoeval.errors import UserError
from dialoeval.metrics.scores import Scores
from dialoeval.runs.folder import RunFolder

_TELLING = ("decoding.", "dataset.", "seed", "engine.dtype", "model.")  # settings that name a run among its like


@dataclass(frozen=True)
class LoadedRun:
    """A complete run, in the order of its replies.

    Attributes:
        dataset: the fingerprint of its examples.
        finish: why each reply ended, "stop" or "length".
        segments: {score: one a reply, or None where it has none}, such as "nist", "bleu", "meteor", "rouge_l".
        config: config.yaml; environment: environment.json, empty where it is absent.
    """

    name: str
    path: Path
    dataset: str
    ids: list[str]
    contexts: list[list[str]]
    replies: list[str]
    finish: list[str]
    references: list[list[str]]
    scores: Scores
    segments: dict[str, list[float | None]]
    config: dict[str, Any]
    environment: dict[str, Any] = field(default_factory=dict)


def load_run(folder: RunFolder) -> LoadedRun:
    """Read a run.

    Raises:
        UserError: it is not complete, has no scores, or one of its files is damaged.
    """
    again = "run its configuration again"
    manifest = folder.manifest()
    if manifest is None:
        raise UserError(f"{folder.path} is not a run folder: it has no manifest.json")
    if not folder.is_complete():
        reason = f" ({manifest['error']})" if manifest.get("error") else ""
        raise UserError(f"{folder.path} is not complete: {manifest['status']}{reason}; {again}, it goes on from there")
    scores = folder.scores()
    if scores is None:
        raise UserError(f"{folder.path} has no scores: {again}, which scores it")
    if scores.replies_sha256 != manifest["replies_sha256"]:
        raise UserError(f"{folder.scores_file} was computed from other replies than these: {again}, which scores it")
    rows, references = folder.replies(), folder.references()
    absent = [row["id"] for row in rows if row["id"] not in references]
    if absent:
        raise UserError(f"{folder.references_file} has no entry for {absent[0]!r} ({len(absent)} such)")
    segments = folder.segments()
    return LoadedRun(
        name=folder.path.resolve().name,
        path=folder.path,
        dataset=str(manifest["identity"].get("dataset", "")),
        ids=[row["id"] for row in rows],
        contexts=[row["context"] for row in rows],
        replies=[row["reply"] for row in rows],
        finish=[row["finish"] for row in rows],
        references=[references[row["id"]] for row in rows],
        scores=scores,
        segments=_segments(folder, [segments.get(row["id"], {}) for row in rows]),
        config=read_config(folder),
        environment=folder.environment(),
    )


def read_config(folder: RunFolder) -> dict[str, Any]:
    """config.yaml of a run.

    Raises:
        UserError: it is missing or damaged, or lacks a section that every run has.
    """
    import yaml

    file = folder.path / "config.yaml"
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"cannot read {file}: {' '.join(str(error).split())}") from error
    sections = ("model", "decoding", "dataset", "protocol")
    lacking = [name for name in sections if not isinstance(_mapping(config).get(name), dict)]
    if lacking:
        raise UserError(f"{file} is not a run's configuration: it has no section {lacking[0]!r}")
    return config


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def short_names(runs: Sequence[LoadedRun]) -> list[str]:
    """``model decoding`` of each run, and what else tells runs of one name apart: the settings that differ between
    them, or else the hash of the folder's name. No two names are equal."""
    names = [f"{run.config['model'].get('name')} {run.config['decoding'].get('name')}" for run in runs]
    settings = [flat(run.config) for run in runs]
    result = []
    for i, name in enumerate(names):
        twins = [j for j, other in enumerate(names) if other == name]
        keys = [key for key in settings[i] if key.startswith(_TELLING)]
        differing = [key for key in keys if len({str(settings[j].get(key)) for j in twins}) > 1]
        shown = " ".join(f"{key.rsplit('.', 1)[-1]}={settings[i][key]}" for key in differing[:3])
        result.append(f"{name} {shown}".rstrip())
    doubled = {name for name in result if result.count(name) > 1}
    return [f"{name} {run.name[-12:]}" if name in doubled else name for name, run in zip(result, runs, strict=True)]


def reply_scores(runs: Sequence[LoadedRun]) -> list[str]:
    """Return the names of the scores of single replies that any run has: METEOR, NIST and BLEU first."""
    names = [name for run in runs for name in run.segments]
    return list(dict.fromkeys(["meteor", "nist", "bleu", *names]))


def check_comparable(runs: Sequence[LoadedRun]) -> None:
    """Refuse runs on different data, or scored under different protocols.

    Raises:
        UserError: which runs, and how they differ.
    """
    first = runs[0]
    for other in runs[1:]:
        pair = f"{first.name} and {other.name}"
        if difference := _data_difference(first, other):
            raise UserError(f"{pair} are not on the same data: {difference}")
        ours, theirs = (run.scores.protocol for run in (first, other))
        if ours != theirs:
            names = [protocol.name for protocol in (ours, theirs)]
            raise UserError(
                f"{pair} were scored under different protocols ({names[0]} and {names[1]}): run one again with the "
                "other's protocol= (nothing is generated again)"
            )


def _data_difference(a: LoadedRun, b: LoadedRun) -> str:
    """How the examples of two runs differ; empty where they are the same."""
    if a.ids != b.ids:
        only_a, only_b = set(a.ids) - set(b.ids), set(b.ids) - set(a.ids)
        if not only_a and not only_b:
            return f"the same {len(a.ids)} ids, in another order"
        lone = next(name for run, only in ((a, only_a), (b, only_b)) for name in run.ids if name in only)
        return (
            f"{len(a.ids)} and {len(b.ids)} examples, of which {len(only_a)} and {len(only_b)} ids are in one run only "
            f"(the first is {lone!r})"
        )
    parts = []
    for what in ("contexts", "references"):
        unequal = [i for i, (x, y) in enumerate(zip(getattr(a, what), getattr(b, what), strict=True)) if x != y]
        if unequal:
            parts.append(
                f"the {what} of {len(unequal)} of {len(a.ids)} ids differ (the first is {a.ids[unequal[0]]!r})"
            )
    return "; ".join(parts)


def _segments(folder: RunFolder, rows: Sequence[dict[str, Any]]) -> dict[str, list[float | None]]:
    names = dict.fromkeys(name for row in rows for name in row if name not in ("id", "length"))
    columns: dict[str, list[float | None]] = {name: [row.get(name) for row in rows] for name in names}
    for name, values in columns.items():
        for row, value in zip(rows, values, strict=True):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise UserError(
                    f'{folder.segments_file}, id {row.get("id")!r}: field "{name}" must be a number or null; delete '
                    "the file and run again (replies are kept)"
                )
    return columns


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
