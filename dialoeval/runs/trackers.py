"""Experiment trackers, which log the figures of a finished run. Off by default; the run folder stays the reference."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dialoeval.config import Tracker
from dialoeval.errors import UserError, first_line
from dialoeval.metrics.scores import Scores
from dialoeval.runs.folder import RunFolder


def check_tracker(tracker: Tracker) -> None:
    """Make sure that a tracker can be used, before anything is generated.

    Raises:
        UserError: its package is not installed or cannot be imported, or W&B has no key.
    """
    if tracker == "none":
        return
    if importlib.util.find_spec(tracker) is None:
        raise UserError(f"tracker={tracker} needs a package: pip install 'dialoeval[{tracker}]'")
    try:
        importlib.import_module(tracker)
    except Exception as error:  # whatever a broken installation raises
        raise UserError(f"tracker={tracker} cannot be imported: {first_line(error)}") from error
    if tracker == Tracker.wandb and not _wandb_can_log_in():
        raise UserError("tracker=wandb has no key: `wandb login`, or set WANDB_API_KEY or WANDB_MODE=offline")


def track(tracker: Tracker, folder: RunFolder, name: str, scores: Scores) -> None:
    """Log a run's figures to a tracker.

    Raises:
        UserError: its package is not installed, or it failed (the run itself is complete).
    """
    check_tracker(tracker)
    figures = dict(scores.figures)
    try:
        TRACKERS[tracker](folder, name, figures, folder.existing_manifest().identity)
    except Exception as error:  # a tracker's own errors have no common type
        raise UserError(
            f"tracker={tracker} failed ({first_line(error)}); the run is complete in {folder.path}"
        ) from error


def _wandb_can_log_in() -> bool:
    """Return whether W&B works offline, has a key in the environment or in ~/.netrc, or can ask for one."""
    if os.environ.get("WANDB_MODE", "online") in ("offline", "disabled", "dryrun") or "WANDB_API_KEY" in os.environ:
        return True
    netrc = Path(os.environ.get("NETRC", os.path.expanduser("~/.netrc")))
    return netrc.is_file() or (sys.stdin is not None and sys.stdin.isatty())


def _wandb(folder: RunFolder, name: str, figures: dict[str, float], identity: dict[str, Any]) -> None:
    import wandb

    # WANDB_MODE=offline works; the id makes a second run of the same configuration the same entry
    run = wandb.init(project="dialoeval", name=name, id=folder.path.name[-12:], config=identity, dir=str(folder.path))
    run.log(figures)
    run.finish()


def _mlflow(folder: RunFolder, name: str, figures: dict[str, float], identity: dict[str, Any]) -> None:
    import mlflow

    with mlflow.start_run(run_name=name):
        mlflow.set_tag("run_folder", folder.path.name)
        mlflow.log_dict(identity, "identity.json")
        mlflow.log_metrics(figures)


def _tensorboard(folder: RunFolder, name: str, figures: dict[str, float], identity: dict[str, Any]) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(folder.path / "tensorboard") as writer:
        writer.add_text("name", name)
        for key, value in figures.items():
            writer.add_scalar(key, value)


TRACKERS: dict[Tracker, Callable[[RunFolder, str, dict[str, float], dict[str, Any]], None]] = {
    Tracker.wandb: _wandb,
    Tracker.mlflow: _mlflow,
    Tracker.tensorboard: _tensorboard,
}
