"""Sweeps: every combination of the values given, through Hydra's own sweeper and launchers."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dialoeval.config.compose import compose_untyped, fit, plain_overrides, to_typed
from dialoeval.config.hydra_app import launch, swept_jobs
from dialoeval.errors import UserError
from dialoeval.files import read_json, sha256_json, write_json, write_text

if TYPE_CHECKING:
    from omegaconf import DictConfig

SCHEMA = 1


def sweep(overrides: Sequence[str]) -> int:
    """Run all jobs; write the sweep folder. Returns 0, or 1 where a job failed.

    A failed job is recorded with its reason and stops nothing; run again, the same call does only what is missing.
    Consecutive jobs of one model load it once. Hydra's launchers (``hydra/launcher=joblib``, ``submitit_slurm``) work.

    Raises:
        UserError: the overrides do not compose, or the sweep folder cannot be written.
    """
    overrides = plain_overrides(overrides)
    jobs = plan(overrides)
    folder = Path(_fitted(overrides, jobs[0]).reports_dir) / "sweeps" / sha256_json(jobs)[:12]
    if not (folder / "sweep.json").exists():
        _record(folder, jobs, [{"status": "pending", "run": None, "name": None, "error": None}] * len(jobs))
    os.environ["DIALOEVAL_SWEEP_JOBS"] = str(len(jobs))  # for the jobs' own progress lines, in other processes too
    return finish(folder, jobs, launch(job, [*overrides, f"hydra.sweep.dir={_quoted(folder)}"]))


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


def job(config: Any) -> dict[str, Any]:
    """One job of a sweep: its run's folder, or the reason why there is none. Never raises on a job's own failure."""
    from hydra.core.hydra_config import HydraConfig

    from dialoeval.runs.runner import run

    hydra = HydraConfig.get()
    total = os.environ.get("DIALOEVAL_SWEEP_JOBS", "?")
    print(f"job {hydra.job.num + 1} of {total}: {hydra.job.override_dirname}", file=sys.stderr)
    try:
        outcome = run(to_typed(config, "config"))
        return {"status": "complete", "run": outcome.folder.path.name, "name": outcome.name, "error": None}
    except UserError as error:
        return {"status": "failed", "run": None, "name": None, "error": str(error)}
    except MemoryError:
        return {"status": "failed", "run": None, "name": None, "error": "out of memory"}
    except Exception as error:
        return {"status": "failed", "run": None, "name": None, "error": f"{type(error).__name__}: {error}"}


def finish(folder: Path, jobs: list[list[str]], outcomes: list[dict[str, Any]]) -> int:
    """Write sweep.json, the leaderboard and the report of a sweep; say which jobs failed."""
    from dialoeval.metrics.score_tables import score_table
    from dialoeval.runs.folder import RunFolder

    recorded = _record(folder, jobs, outcomes)
    complete = [entry for entry in recorded if entry["status"] == "complete"]
    runs = [RunFolder(folder.parent.parent / entry["run"]) for entry in complete]
    labels = _labels(jobs, recorded)
    rows = [(labels[i], scores) for i, run in zip(_complete(recorded), runs, strict=True) if (scores := run.scores())]
    rows.sort(key=lambda row: row[1].get("nist4") or 0.0, reverse=True)
    table = score_table(rows, intervals=True)
    write_text(folder / "leaderboard.md", table.to_markdown())
    write_text(folder / "leaderboard.csv", score_table(rows).to_csv())
    if runs:
        from dialoeval.reports import write_html

        write_html(list(dict.fromkeys(run.path for run in runs)), folder / "report.html")
    print(table.to_markdown(), end="")
    for entry in recorded:
        if entry["status"] != "complete":
            print(f"failed: {' '.join(entry['overrides'])}: {entry['error']}", file=sys.stderr)
    print(f"\nsweep: {folder} ({len(complete)} of {len(recorded)} jobs complete)")
    return 0 if len(complete) == len(recorded) else 1


def _record(folder: Path, jobs: list[list[str]], outcomes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    recorded = [{"overrides": list(job), **outcome} for job, outcome in zip(jobs, outcomes, strict=True)]
    write_json(folder / "sweep.json", {"schema": SCHEMA, "jobs": recorded})
    return recorded


def _complete(recorded: list[dict[str, Any]]) -> list[int]:
    return [i for i, entry in enumerate(recorded) if entry["status"] == "complete"]


def _labels(jobs: list[list[str]], recorded: list[dict[str, Any]]) -> list[str]:
    """A job's run name and whatever else differs between the jobs."""
    common = set.intersection(*map(set, jobs))
    told = ("model=", "decoding=")  # the run's name says these
    labels = []
    for job, entry in zip(jobs, recorded, strict=True):
        rest = [o.removeprefix("decoding.") for o in job if o not in common and not o.startswith(told)]
        labels.append(" ".join([entry["name"] or "", *rest]).strip())
    return labels


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "\\'") + "'"


def read_sweep(folder: Path) -> list[Path] | None:
    """The complete runs of a sweep folder, or None where the folder is not a sweep's.

    Raises:
        UserError: sweep.json is damaged, or no job is complete.
    """
    file = folder / "sweep.json"
    if not file.is_file():
        return None
    recorded = read_json(file)
    if not isinstance(recorded, dict) or recorded.get("schema") != SCHEMA or not isinstance(recorded.get("jobs"), list):
        raise UserError(f"{file} is not a sweep of schema {SCHEMA}: run the sweep again")
    names = [entry.get("run") for entry in recorded["jobs"] if isinstance(entry, dict)]
    runs = [folder.parent.parent / name for name in names if isinstance(name, str) and name]
    if not runs:
        raise UserError(f"{folder}: no job of this sweep is complete")
    return runs
