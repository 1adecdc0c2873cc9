"""Sweeps: every combination of the values given, through Hydra's own sweeper and launchers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dialoeval.config.compose import compose_untyped, fit, plain_overrides, to_typed
from dialoeval.config.hydra_app import launch, swept_jobs
from dialoeval.errors import UserError
from dialoeval.files import read_json, sha256_json, write_json, write_text
from dialoeval.metrics.score_tables import data_title, score_table
from dialoeval.metrics.scores import Scores
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.reader import LoadedRun
from dialoeval.runs.records import is_mark
from dialoeval.runs.trackers import Draw, Pictures, TrackerError
from dialoeval.tables import Table, markdown_text

if TYPE_CHECKING:
    from omegaconf import DictConfig

SCHEMA = 1
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class SweepJob:
    """One job of a sweep: an entry of sweep.json.

    Attributes:
        overrides: that make its configuration.
        status: "pending", "complete" or "failed".
        run: name of its run's folder, if it is complete.
        name: model and decoding, if it is complete.
        error: why it failed, or why its complete run was not logged to a tracker.
    """

    overrides: tuple[str, ...] = ()
    status: str = "pending"
    run: str | None = None
    name: str | None = None
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the entry of sweep.json."""
        return vars(self) | {"overrides": list(self.overrides)}

    @classmethod
    def from_json(cls, value: Any, where: str) -> SweepJob:
        """Read an entry of sweep.json; `where` names it.

        Raises:
            UserError: it is damaged.
        """
        if not isinstance(value, dict) or not isinstance(value.get("overrides"), list):
            raise UserError(f"{where}: expected an object with a list of overrides: run the sweep again")
        run, name, error = (value.get(key) for key in ("run", "name", "error"))
        if not all(text is None or isinstance(text, str) for text in (run, name, error)):
            raise UserError(f"{where}: run, name and error must be strings or null: run the sweep again")
        return cls(tuple(map(str, value["overrides"])), str(value.get("status")), run, name, error)


@dataclass(frozen=True)
class Leaderboard:
    """Jobs that may be ranked together.

    Attributes:
        title: data and protocol.
        rows: (label, scores), NIST-4 downwards; floors and mark last, which are not ranked.
    """

    title: str
    rows: tuple[tuple[str, Scores], ...]


@dataclass(frozen=True)
class Sweep:
    """A sweep that was run.

    Attributes:
        folder: ``reports/sweeps/<hash of the fixed settings and of the names of those swept over>``.
        jobs: of all calls with this folder, in order.
        asked: the jobs of this call.
        boards: the complete jobs, those on the same examples and under the same protocol together.
    """

    folder: Path
    jobs: tuple[SweepJob, ...]
    asked: tuple[SweepJob, ...]
    boards: tuple[Leaderboard, ...]

    @property
    def scores(self) -> list[tuple[str, Scores]]:
        """(label, scores) of the complete jobs, of each board NIST-4 downwards."""
        return [row for board in self.boards for row in board.rows]

    @property
    def runs(self) -> list[Path]:
        """The folders of the complete runs, each once."""
        return _runs(self.folder, self.jobs)


def no_pictures(run: LoadedRun) -> Pictures:
    """Draw nothing."""
    return {}


def sweep(
    overrides: Sequence[str],
    around: Callable[[], AbstractContextManager[None]] = nullcontext,
    draw: Draw = no_pictures,
    *,
    fail_fast: bool = False,
) -> Sweep:
    """Run all jobs; write sweep.json and the leaderboard.

    A failed job is recorded with its reason and stops nothing; run again, the same call does only what is missing.
    Further values of the same settings join the earlier ones on one leaderboard. Consecutive jobs of one model load it
    once. Hydra's launchers (``hydra/launcher=joblib``, ``submitit_slurm``) work.

    Args:
        overrides: as on the command line; several values, separated by commas, are swept over.
        around: entered around each job in the job's own process, for example to set up logging there.
        draw: returns the plots of a run, for a tracker.
        fail_fast: start no job after one has failed.

    Raises:
        UserError: the overrides do not compose, or the sweep folder cannot be written.
    """
    overrides = plain_overrides(overrides)
    planned = plan(overrides)
    folder = Path(_fitted(overrides, planned[0]).reports_dir) / "sweeps" / sha256_json(_board(planned))[:12]
    _record(folder, [SweepJob(tuple(job)) for job in planned], only_new=True)
    stop = folder / "stopped" if fail_fast else None
    if stop is not None:
        stop.unlink(missing_ok=True)
    task = partial(run_job, total=len(planned), around=around, draw=draw, stop=stop)
    try:
        results = launch(task, [*overrides, f"hydra.sweep.dir={_quoted(folder)}"])
    finally:
        if stop is not None:
            stop.unlink(missing_ok=True)
    asked = [replace(result, overrides=tuple(job)) for job, result in zip(planned, results, strict=True)]
    jobs = _record(folder, asked)
    boards = _leaderboards(folder, jobs)
    _write_leaderboards(folder, boards)
    return Sweep(folder, tuple(jobs), tuple(asked), tuple(boards))


def _board(jobs: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    """Return what a sweep folder is named after: the settings that all jobs share, and the names of the others."""
    values: dict[str, set[str]] = {}
    for job in jobs:
        for override in job:
            values.setdefault(override.partition("=")[0], set()).add(override)
    return {
        "fixed": sorted(override for texts in values.values() if len(texts) == 1 for override in texts),
        "swept": sorted(key for key, texts in values.items() if len(texts) > 1),
    }


def plan(overrides: Sequence[str]) -> list[list[str]]:
    """Return the overrides of each job, in order.

    Each job is composed once, so that a typing error stops before the first job; one whose values make no sense
    together fails alone. What an experiment sweeps over (``hydra.sweeper.params``) comes first; the command line wins
    over it.

    Raises:
        UserError: an override does not fit the schema; or another sweeper than Hydra's basic one is asked for.
    """
    jobs = swept_jobs(overrides)
    for job in jobs:
        _fitted(overrides, job)
    return jobs


def _fitted(overrides: Sequence[str], job: Sequence[str]) -> DictConfig:
    """Return the configuration of one job of the sweep that `overrides` ask for."""
    return fit(compose_untyped("config", [*_search_path(overrides), *job]), "config")


def _search_path(overrides: Sequence[str]) -> list[str]:
    return [override for override in overrides if override.startswith("hydra.searchpath=")]


def run_job(
    config: DictConfig,
    total: int,
    around: Callable[[], AbstractContextManager[None]],
    draw: Draw = no_pictures,
    stop: Path | None = None,
) -> SweepJob:
    """Run one job of a sweep of `total`; its own failure is logged and returned, never raised.

    If `stop` is given, a failed job leaves that file, and no job runs beside it.
    """
    from hydra.core.hydra_config import HydraConfig

    job, overrides = HydraConfig.get().job, HydraConfig.get().overrides.task
    if stop is not None and stop.exists():
        return SweepJob()
    with around():
        _LOG.info("job %d of %d: %s", job.num + 1, total, job.override_dirname)
        done = _run(config, draw)
        if done.error is not None:
            _LOG.error("failed: %s: %s", " ".join(overrides), done.error)
            if stop is not None:
                write_text(stop, "")
    return done


def _run(config: DictConfig, draw: Draw) -> SweepJob:
    """Run a configuration; return what became of it."""
    from dialoeval.runs.runner import run

    try:
        error, result = None, run(to_typed(config, "config"), draw)
    except TrackerError as failure:
        error, result = str(failure), failure.result
    except UserError as failure:
        return SweepJob(status="failed", error=str(failure))
    except MemoryError:
        return SweepJob(status="failed", error="out of memory")
    except Exception as failure:
        return SweepJob(status="failed", error=f"{type(failure).__name__}: {failure}")
    return SweepJob(status="complete", run=result.folder.path.name, name=result.name, error=error)


def _record(folder: Path, jobs: Sequence[SweepJob], *, only_new: bool = False) -> list[SweepJob]:
    """Write jobs to sweep.json beside those that it holds; return all.

    Args:
        folder: of the sweep.
        jobs: that replace the recorded ones of the same overrides, whatever their order; one that did not run replaces
            none.
        only_new: replace none.
    """
    recorded = _recorded(folder) if (folder / "sweep.json").is_file() else []
    known = {frozenset(job.overrides): job for job in recorded}
    for job in jobs:
        key = frozenset(job.overrides)
        if key not in known or not (only_new or job.status == "pending"):
            known[key] = job
    write_json(folder / "sweep.json", {"schema": SCHEMA, "jobs": [job.to_json() for job in known.values()]})
    return list(known.values())


def _leaderboards(folder: Path, jobs: Sequence[SweepJob]) -> list[Leaderboard]:
    """Return the scores of the complete jobs; figures on other data or under another protocol are on another board."""
    boards: dict[str, list[tuple[bool, str, Scores]]] = {}
    for label, job in zip(_labels(jobs), jobs, strict=True):
        run = RunFolder(folder.parent.parent / job.run) if job.run else None
        manifest, scores = (run.manifest(), run.scores()) if run else (None, None)
        if run and manifest and scores:
            dataset = run.settings().dataset.get("name")
            title = data_title(dataset, run.data(), scores)
            boards.setdefault(title, []).append((is_mark(job.name or ""), label, scores))
    for rows in boards.values():
        # floors and mark stand below the systems, whatever their scores: they are not ranked
        rows.sort(key=lambda row: (row[0], -(row[2].get("nist4") or 0.0)))
    return [Leaderboard(title, tuple(row[1:] for row in rows)) for title, rows in boards.items()]


def _write_leaderboards(folder: Path, boards: Sequence[Leaderboard]) -> None:
    """Write the boards as Markdown, a table each, and as CSV, one table with a column that tells them apart."""
    apart = len(boards) > 1
    parts = []
    for board in boards or [Leaderboard("", ())]:
        heading = f"## {markdown_text(board.title)}\n\n" if apart else ""
        parts.append(heading + score_table(board.rows, intervals=True).to_markdown())
    warned = [(name, found) for board in boards for name, scores in board.rows for found in scores.warnings]
    warnings = [f"- {markdown_text(f'{name}: {found.message}')}\n" for name, found in warned]
    text = "\n".join(parts) + "".join(["\nWarnings:\n\n", *warnings] if warnings else [])
    write_text(folder / "leaderboard.md", text)
    table = score_table([row for board in boards for row in board.rows])
    if apart:
        titles = [board.title for board in boards for _ in board.rows]
        rows = tuple((row[0], title, *row[1:]) for row, title in zip(table.rows, titles, strict=True))
        table = Table((table.headings[0], "data", *table.headings[1:]), rows)
    write_text(folder / "leaderboard.csv", table.to_csv())


def _labels(jobs: Sequence[SweepJob]) -> list[str]:
    """Return the run name of each job, and the overrides that not all jobs share."""
    common = set.intersection(*(set(job.overrides) for job in jobs))
    named = ("model=", "decoding=")  # these are in the run's name
    labels = []
    for job in jobs:
        rest = [o.removeprefix("decoding.") for o in job.overrides if o not in common and not o.startswith(named)]
        labels.append(" ".join([job.name or "", *rest]).strip())
    return labels


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "\\'") + "'"


def read_sweep(folder: Path) -> list[Path] | None:
    """Return the complete runs of a sweep folder, or None if the folder is not a sweep's.

    Raises:
        UserError: sweep.json is damaged, or no job is complete.
    """
    file = folder / "sweep.json"
    if not file.is_file():
        return None
    runs = _runs(folder, _recorded(folder))
    if not runs:
        raise UserError(f"{folder}: no job of this sweep is complete")
    return runs


def _recorded(folder: Path) -> list[SweepJob]:
    """Return the jobs of a sweep folder.

    Raises:
        UserError: sweep.json is damaged.
    """
    file = folder / "sweep.json"
    value = read_json(file)
    if not isinstance(value, dict) or value.get("schema") != SCHEMA or not isinstance(value.get("jobs"), list):
        raise UserError(f"{file} is not a sweep of schema {SCHEMA}: move it away and run the sweep again")
    return [SweepJob.from_json(entry, f"{file}, job {i}") for i, entry in enumerate(value["jobs"], 1)]


def _runs(folder: Path, jobs: Sequence[SweepJob]) -> list[Path]:
    return [folder.parent.parent / name for name in dict.fromkeys(job.run for job in jobs) if name]
