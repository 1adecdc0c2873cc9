"""Settings and environment of runs as the page shows them: what differs, and what all share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dialoeval.runs.records import RunSettings


def shown_settings(settings: RunSettings) -> dict[str, Any]:
    """Return {name: value} of the settings that are about the run, not about where it is kept."""
    return {key: value for key, value in settings.flat().items() if key not in ("reports_dir", "tracker")}


@dataclass(frozen=True)
class Matrix:
    """(key, the value of each run) of settings that differ between the runs, and of those that all share."""

    differing: list[tuple[str, list[str]]]
    shared: list[tuple[str, list[str]]]


def matrix(columns: Sequence[dict[str, Any]]) -> Matrix:
    """Return the values of all runs by key."""
    keys = list(dict.fromkeys(key for values in columns for key in values))
    rows = [(key, [_shown(values.get(key)) for values in columns]) for key in keys]
    differing = [row for row in rows if len(set(row[1])) > 1]
    return Matrix(differing, [row for row in rows if len(set(row[1])) == 1])


def _shown(value: Any) -> str:
    return "–" if value is None or value == [] or value == {} else str(value)
