"""All runs of a reports folder, as a list and as a pandas table."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dialoeval.errors import UserError
from dialoeval.metrics.scores import Scores
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.reader import summary_columns
from dialoeval.runs.records import Manifest

if TYPE_CHECKING:
    import pandas


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


def list_runs(reports_dir: str | os.PathLike[str] = "reports") -> list[ListedRun]:
    """Return every run of a reports folder, by name; a damaged one too, with what is wrong with it."""
    runs = []
    for file in sorted(Path(reports_dir).glob("*/manifest.json")):
        folder = RunFolder(file.parent)
        try:
            runs.append(ListedRun(folder, folder.existing_manifest(), folder.scores()))
        except UserError as error:
            runs.append(ListedRun(folder, damage=str(error)))
    return runs


def runs_frame(runs: Iterable[ListedRun]) -> pandas.DataFrame:
    """Return a row a run: see `ListedRun.to_row`. BLEU, METEOR and distinct-n are fractions."""
    import pandas

    return pandas.DataFrame([run.to_row() for run in runs])
