"""Experiment trackers, which log a finished run. Off by default; the run folder stays the reference."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dialoeval.config import Tracker
from dialoeval.errors import UserError, first_line
from dialoeval.files import check_writable
from dialoeval.runs.reader import LoadedRun
from dialoeval.runs.records import flat
from dialoeval.tables import Table

PROJECT = "dialoeval"
COLUMNS = ("id", "context", "reply", "references", "finish", "tokens")
_SHOWN = 100  # replies in TensorBoard's table, which is one text
_WANDB_MODES = ("online", "offline", "disabled", "dryrun", "run", "shared")

Pictures = Mapping[str, str]  # {name: a complete SVG file}
Draw = Callable[[LoadedRun], Pictures]


class TrackerError(UserError):
    """A tracker failed at the end of a run, which is complete.

    Attributes:
        result: what the run would have returned, if it is known.
    """

    result: Any = None


@dataclass(frozen=True)
class Logged:
    """What a tracker logs of a run.

    Attributes:
        name: model and decoding.
        run: with its figures, settings and replies.
        identity: what decides its replies, as JSON values.
        pictures: plots of the run.
    """

    name: str
    run: LoadedRun
    identity: dict[str, Any]
    pictures: Pictures

    @property
    def figures(self) -> dict[str, float]:
        """Every figure, with its interval's bounds as ``<name>_low`` and ``<name>_high``."""
        scores = self.run.scores
        bounds = {name: scores.interval(name) for name in scores.figures}
        ends = {f"{n}_{end}": both[i] for n, both in bounds.items() if both for i, end in enumerate(("low", "high"))}
        return dict(scores.figures) | ends

    @property
    def rows(self) -> list[list[str | int]]:
        """A row of `COLUMNS` for each reply; turns and references are lines of one text."""
        run = self.run
        columns = (run.ids, run.contexts, run.hypotheses, run.references, run.finish, run.tokens)
        return [
            ["\n".join(value) if isinstance(value, list) else value for value in row]
            for row in zip(*columns, strict=True)
        ]


def check_tracker(tracker: Tracker) -> None:
    """Make sure that a tracker can be used, before anything is generated.

    Raises:
        UserError: its package is not installed or cannot be imported, its store cannot be reached or written, or W&B
            has no key.
    """
    if tracker == "none":
        return
    if importlib.util.find_spec(tracker) is None:
        raise UserError(f"tracker={tracker} needs a package: pip install 'dialoeval[{tracker}]'")
    try:
        importlib.import_module(tracker)
    except Exception as error:  # whatever a broken installation raises
        raise UserError(f"tracker={tracker} cannot be imported: {first_line(error)}") from error
    if tracker == Tracker.wandb:
        _check_wandb()
    elif tracker == Tracker.mlflow:
        _check_mlflow()


def track(tracker: Tracker, logged: Logged) -> None:
    """Log a complete run to a tracker; the same run, logged again, replaces or continues its entry.

    Raises:
        TrackerError: the tracker failed.
    """
    try:
        TRACKERS[tracker](logged)
    except Exception as error:  # a tracker's own errors have no common type
        raise TrackerError(
            f"tracker={tracker} failed ({first_line(error)}); the run is complete in {logged.run.path}"
        ) from error


def _check_wandb() -> None:
    """Check W&B's mode, key and server.

    Raises:
        UserError: the mode is unknown, there is no key and nobody to ask for one, or the server does not answer.
    """
    import urllib.error
    import urllib.request

    import wandb

    mode = os.environ.get("WANDB_MODE", "online")
    if mode not in _WANDB_MODES:
        raise UserError(f"tracker=wandb: WANDB_MODE={mode} is unknown: set online, offline or disabled")
    netrc = Path(os.environ.get("NETRC", os.path.expanduser("~/.netrc")))
    asks = sys.stdin is not None and sys.stdin.isatty()
    if mode not in ("online", "run", "shared"):
        return
    if not ("WANDB_API_KEY" in os.environ or netrc.is_file() or asks):
        raise UserError("tracker=wandb has no key: `wandb login`, or set WANDB_API_KEY or WANDB_MODE=offline")
    url = os.environ.get("WANDB_BASE_URL") or str(wandb.setup().settings.base_url)
    try:
        urllib.request.urlopen(url, timeout=20).close()
    except urllib.error.HTTPError:
        pass  # a server answered
    except (OSError, ValueError) as error:
        raise UserError(f"tracker=wandb cannot reach {url} ({first_line(error)}): set WANDB_MODE=offline") from error


def _wandb(logged: Logged) -> None:
    import wandb

    # the id makes a second run of the same configuration the same entry
    run = wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        name=logged.name,
        id=logged.run.name[-12:],
        resume="allow",
        config={**logged.run.settings.sections, "identity": logged.identity},
        dir=str(logged.run.path),
    )
    replies = wandb.Table(columns=list(COLUMNS), data=logged.rows)
    pictures = {f"plots/{name}": wandb.Html(svg) for name, svg in logged.pictures.items()}
    run.log({**logged.figures, "replies": replies, **pictures})
    run.finish()


@contextlib.contextmanager
def _mlflow_store() -> Iterator[None]:
    """Within it, MLflow uses a store of files where the user names one, and gives up on a dead server soon."""
    settings = {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
    added = {name: value for name, value in settings.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def _check_mlflow() -> None:
    """Write a tag to MLflow's experiment, and check that the folder of its files can be written.

    Raises:
        UserError: the store cannot be reached or written.
    """
    import mlflow

    uri = None
    try:
        with _mlflow_store():
            uri = mlflow.get_tracking_uri()
            if uri.startswith("sqlite:///"):  # MLflow tries a database that cannot be opened for minutes
                check_writable(uri.removeprefix("sqlite:///"))
            experiment = _mlflow_experiment()
            mlflow.MlflowClient().set_experiment_tag(experiment.experiment_id, "writer", PROJECT)
            artifacts = str(experiment.artifact_location)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"tracker=mlflow cannot use the store {uri} ({first_line(error)}): set MLFLOW_TRACKING_URI"
        ) from error
    if artifacts.startswith(("/", "file:")):
        check_writable(Path("/" + artifacts.removeprefix("file:").lstrip("/")) / "run")


def _mlflow_experiment() -> Any:
    """Return the experiment that MLFLOW_EXPERIMENT_ID or _NAME names; else ``dialoeval``. It is created if missing."""
    import mlflow

    if identifier := os.environ.get("MLFLOW_EXPERIMENT_ID"):
        return mlflow.MlflowClient().get_experiment(identifier)
    client, name = mlflow.MlflowClient(), os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
    return client.get_experiment_by_name(name) or client.get_experiment(client.create_experiment(name))


def _mlflow(logged: Logged) -> None:
    import mlflow

    with _mlflow_store():
        client, experiment = mlflow.MlflowClient(), _mlflow_experiment().experiment_id
        tags = {"mlflow.runName": logged.name, "run_folder": logged.run.name}
        earlier = client.search_runs([experiment], f"tags.run_folder = '{logged.run.name}'", max_results=1)
        run = (earlier[0] if earlier else client.create_run(experiment, tags=tags)).info.run_id
        try:
            for name, value in logged.figures.items():
                client.log_metric(run, _mlflow_key(name), value)
            for name, value in flat(logged.identity).items():
                client.log_param(run, _mlflow_key(name), str(value)[:6000])
            client.log_dict(run, logged.identity, "identity.json")
            client.log_dict(run, dict(logged.run.settings.sections), "config.json")
            client.log_dict(run, {"columns": list(COLUMNS), "data": logged.rows}, "replies.json")
            client.set_tag(run, "mlflow.loggedArtifacts", '[{"path": "replies.json", "type": "table"}]')
            for name, svg in logged.pictures.items():
                client.log_text(run, svg, f"plots/{name}.svg")
        except Exception:
            client.set_terminated(run, "FAILED")
            raise
        client.set_terminated(run, "FINISHED")


def _mlflow_key(name: str) -> str:
    return re.sub(r"[^\w.\-/ :]", "_", name)[:250]


def _tensorboard(logged: Logged) -> None:
    import numpy as np
    from torch.utils.tensorboard import SummaryWriter

    folder = logged.run.path / "tensorboard"
    shutil.rmtree(folder, ignore_errors=True)  # events of an earlier scoring would stand beside these
    table = Table(COLUMNS, tuple(tuple(map(str, row)) for row in logged.rows[:_SHOWN]))
    with SummaryWriter(folder) as writer:
        writer.add_text("name", logged.name)
        for key, value in logged.figures.items():
            writer.add_scalar(key, value)
        writer.add_text("settings", Table(("setting", "value"), _texts(logged.run.settings.flat())).to_markdown())
        writer.add_text("identity", Table(("part", "value"), _texts(flat(logged.identity))).to_markdown())
        writer.add_text("replies", table.to_markdown())
        # TensorBoard draws its own pictures; it shows no SVG
        writer.add_histogram("reply length", np.array([len(text.split()) for text in logged.run.hypotheses]))
        lengths = [len(text.split()) for texts in logged.run.references for text in texts]
        if lengths:
            writer.add_histogram("reference length", np.array(lengths))


def _texts(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((key, str(value)) for key, value in values.items())


TRACKERS: dict[Tracker, Callable[[Logged], None]] = {
    Tracker.wandb: _wandb,
    Tracker.mlflow: _mlflow,
    Tracker.tensorboard: _tensorboard,
}
