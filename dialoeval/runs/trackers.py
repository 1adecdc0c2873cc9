"""Experiment trackers, which log the figures of a finished run. Off by default; the run folder stays the reference."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

from dialoeval.config import Tracker
from dialoeval.errors import UserError, first_line
from dialoeval.metrics.scores import Scores
from dialoeval.runs.folder import RunFolder


def check_tracker(tracker: Tracker) -> None:
    """Make sure that a tracker can be used, before anything is generated.

    Raises:
        UserError: its package is not installed.
    """
    if tracker != "none" and importlib.util.find_spec(tracker) is None:
        raise UserError(f"tracker={tracker} needs a package: pip install 'dialoeval[{tracker}]'")


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
