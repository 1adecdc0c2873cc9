"""Runs as a pandas table, for notebooks and spreadsheets: full precision, one row a run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dialoeval.metrics.figures import FIGURES
from dialoeval.runs.folder import RunFolder

if TYPE_CHECKING:
    import pandas


def runs_frame(runs: Sequence[str | os.PathLike[str]] | None = None, reports_dir: str = "reports") -> pandas.DataFrame:
    """A row for each run that has scores: its folder, the settings that tell runs apart, figures with their intervals.

    Args:
        runs: run folders; None: all in `reports_dir`.

    Columns: ``run``, ``status``, ``protocol``, ``n``, the decoding settings, every flat figure and its ``_low`` and
    ``_high``. BLEU, METEOR and distinct are fractions.

    Raises:
        UserError: a run's files are damaged.
    """
    import pandas

    folders = [Path(run) for run in runs] if runs is not None else sorted(Path(reports_dir).glob("*/"))
    rows = []
    for path in folders:
        folder = RunFolder(path)
        manifest, scores = folder.manifest(), folder.scores()
        if manifest is None or scores is None:
            continue
        row = {"run": path.name, "status": manifest["status"], "protocol": scores.protocol.name, "n": scores.n}
        row |= manifest["identity"].get("decoding", {})
        for name in (*FIGURES, *(name for name in scores.figures if name not in FIGURES)):
            row[name] = scores.get(name)
            if (interval := scores.interval(name)) is not None:
                row[f"{name}_low"], row[f"{name}_high"] = interval
        rows.append(row)
    return pandas.DataFrame(rows)
