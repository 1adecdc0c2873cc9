"""All runs of a reports folder, as a list and as a pandas table."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dialoeval.errors import UserError
from dialoeval.metrics.scores import Scores
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.reader import summary_columns
from dialoeval.runs.records import Manifest, RunSettings, Status

if TYPE_CHECKING:
    import pandas

_SIGNS = (
    "manifest.json",
    "scores.json",
    "replies.jsonl",
)  # each makes a folder a run's, a damaged one without the rest


@dataclass(frozen=True)
class ListedRun:
    """A run folder in any state.

    Attributes:
        folder: its files.
        manifest: None if the run is damaged.
        scores: None if the run is damaged or not scored yet.
        damage: what is wrong with its files; empty if nothing is.
    """

    folder: RunFolder
    manifest: Manifest | None = None
    scores: Scores | None = None
    damage: str = ""

    @property
    def status(self) -> str:
        """``running``, ``complete``, ``failed`` or ``damaged``."""
        return "damaged" if self.manifest is None else str(self.manifest.status)

    def to_row(self) -> dict[str, Any]:
        """Return the run as columns of a table: its name, its status, and why it failed.

        If it has scores, the columns of `LoadedRun.to_frame` and its decoding settings follow.
        """
        row: dict[str, Any] = {"run": self.folder.path.name, "status": self.status, "error": self.damage or None}
        if self.manifest is None:
            return row
        row["error"] = self.manifest.error
        if self.scores is not None:
            try:
                settings = self.folder.settings()
                row |= summary_columns(self.scores, settings, self.folder.environment())
            except UserError as error:
                return row | {"status": "damaged", "error": str(error)}
            row |= {f"decoding.{key}": value for key, value in settings.decoding.items() if key != "name"}
        return row


@dataclass(frozen=True)
class ScoredRun:
    """A complete run with scores of its replies; the replies are not read.

    Attributes:
        name: of its folder.
        path: of its folder.
        identity: what decides its replies, as JSON values.
        scores: of the set.
        settings: what it was run with.
        engine: that ran.
    """

    name: str
    path: Path
    identity: Mapping[str, Any]
    scores: Scores
    settings: RunSettings
    engine: str

    @cached_property
    def data(self) -> str:
        """Fingerprint of its examples (`RunFolder.data`); the folder's name if none is known."""
        return RunFolder(self.path).data() or self.name


@dataclass(frozen=True)
class LeftOut:
    """A run that has no figures: its folder's name, its status, and why; empty if the status says it."""

    name: str
    status: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.why}" if self.why else self.name


def scored_runs(reports_dir: str | os.PathLike[str]) -> tuple[list[ScoredRun], list[LeftOut]]:
    """Return the complete runs of a reports folder whose scores are those of their replies, and all other runs.

    Raises:
        UserError: it is no folder, or holds no run.
    """
    if not Path(reports_dir).is_dir():
        raise UserError(f"{reports_dir} is not a folder of runs")
    scored: list[ScoredRun] = []
    others: list[LeftOut] = []
    for run in list_runs(reports_dir):
        name = run.folder.path.name
        if run.manifest is None:
            others.append(LeftOut(name, "damaged", run.damage))
        elif run.manifest.status != Status.complete:
            others.append(LeftOut(name, run.status, run.manifest.error or ""))
        else:
            try:
                scored.append(_scored(run.folder, run.manifest, run.scores))
            except UserError as error:
                others.append(LeftOut(name, "damaged" if run.scores else "without scores", str(error)))
    if not scored and not others:
        raise UserError(f"{reports_dir} holds no runs")
    return scored, others


def left_out_text(runs: Sequence[LeftOut]) -> list[str]:
    """Return a line a status: how many runs have it, and which, with the reasons."""
    lines = []
    for status in sorted({run.status for run in runs}):
        named = [run for run in runs if run.status == status]
        lines.append(f"{len(named)} {status}: {'; '.join(map(str, named))}")
    return lines


def _scored(folder: RunFolder, manifest: Manifest, scores: Scores | None) -> ScoredRun:
    """Return a complete run.

    Raises:
        UserError: it has no scores, or they are of other replies; or one of its files is damaged.
    """
    folder.is_complete()  # compares the replies with their hashes
    if scores is None:
        raise UserError("run its configuration again, which scores it")
    if scores.replies_sha256 != manifest.replies_sha256:
        raise UserError(f"{folder.scores_file} was computed from other replies: run its configuration again")
    settings, environment = folder.settings(), folder.environment()
    engine = (environment and environment.engine) or settings.engine.get("name")
    return ScoredRun(folder.path.resolve().name, folder.path, manifest.identity, scores, settings, str(engine))


def list_runs(reports_dir: str | os.PathLike[str] = "reports") -> list[ListedRun]:
    """Return every run of a reports folder, by name; a damaged one too, with what is wrong with it."""
    runs = []
    paths = {file.parent for name in _SIGNS for file in Path(reports_dir).glob(f"*/{name}")}
    for path in sorted(paths):
        folder = RunFolder(path)
        try:
            runs.append(ListedRun(folder, folder.existing_manifest(), folder.scores()))
        except UserError as error:
            runs.append(ListedRun(folder, damage=str(error)))
    return runs


def runs_frame(runs: Iterable[ListedRun]) -> pandas.DataFrame:
    """Return a row a run: see `ListedRun.to_row`. BLEU, METEOR and distinct-n are fractions."""
    import pandas

    return pandas.DataFrame([run.to_row() for run in runs])
