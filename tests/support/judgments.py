"""The public human judgments of DSTC7 as arrays."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from dialoeval import stats

SYSTEMS = {"Baseline S2S": ("Baseline",), "Team C/E": ("TeamCE", "TeamEC")}  # official name: names of the judgments


@dataclass(frozen=True)
class Judgments:
    """One entry a judgment; cells are replies: an item of a system."""

    judges: np.ndarray
    items: np.ndarray
    systems: np.ndarray
    relevance: np.ndarray
    informativeness: np.ndarray

    @property
    def overall(self) -> np.ndarray:
        return (self.relevance + self.informativeness) / 2

    @property
    def cells(self) -> np.ndarray:
        return np.char.add(np.char.add(self.items, "|"), self.systems)

    def values(self, question: str) -> np.ndarray:
        return getattr(self, {"interest": "informativeness"}.get(question, question))

    def mean(self, *systems: str, question: str = "overall") -> stats.Statistic:
        of = np.isin(self.systems, systems)
        return stats.mean(self.items[of], self.judges[of], self.values(question)[of])

    def cell_means(self, systems: list[tuple[str, ...]], items: list[str]) -> np.ndarray:
        """Return (n, S) overall means."""
        place = {item: i for i, item in enumerate(items)}
        column = {name: j for j, names in enumerate(systems) for name in names}
        sums, counts = np.zeros((2, len(items), len(systems)))
        for item, system, value in zip(self.items, self.systems, self.overall, strict=True):
            if system in column:
                sums[place[item], column[system]] += value
                counts[place[item], column[system]] += 1
        return sums / counts


@cache
def dstc7(shared: Path) -> Judgments:
    with open(shared / "dstc7" / "human_judgments.tsv", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    scores = (columns[name].astype(float) for name in ("Relevance", "Informativeness"))
    return Judgments(columns["JudgeID"], columns["InstanceID"], columns["SystemID"], *scores)
