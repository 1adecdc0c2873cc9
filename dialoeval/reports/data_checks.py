"""Checks of test data: its own leaks, its overlap with training data, and a run's figures on the clean examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dialoeval.data.contamination import COMMON, Contamination, Found
from dialoeval.data.example import Example
from dialoeval.data.leaks import SHOWN, Leak
from dialoeval.data.training_text import TrainingText
from dialoeval.errors import UserError
from dialoeval.metrics import registry
from dialoeval.metrics.figures import PAPER_TABLE
from dialoeval.metrics.system_statistics import Statistics, statistics
from dialoeval.runs.reader import LoadedRun
from dialoeval.stats import exact_interval
from dialoeval.stats.intervals import figures_of, percentiles, resample
from dialoeval.tables import Cell, Table, markdown_text
from dialoeval.text.plain_words import NORMALISATION

_SEED = 12345
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class CleanFigure:
    """A figure of a run on all examples and on the clean ones.

    Attributes:
        name: flat name of the figure.
        everything: on all examples.
        clean: on the clean examples.
        low: lower bound of the 95% interval of clean - everything, over other examples.
        high: upper bound.
    """

    name: str
    everything: float
    clean: float
    low: float
    high: float


@dataclass(frozen=True)
class DataCheck:
    """What `dialoeval check` found.

    Attributes:
        name: of the test data.
        fingerprint: of its examples.
        examples: number of examples.
        leaks: of the test data itself.
        training: what the examples were looked up in; None if nothing was.
        overlap: with it.
        ids: of the examples that are not clean, the first ones.
        run: name of the run whose figures are shown, or None.
        figures: of the run.
    """

    name: str
    fingerprint: str
    examples: int
    leaks: tuple[Leak, ...]
    training: TrainingText | None = None
    overlap: Contamination | None = None
    ids: tuple[str, ...] = ()
    run: str | None = None
    figures: tuple[CleanFigure, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the contents of check.json."""
        value: dict[str, Any] = {
            "schema": 1,
            "data": {"name": self.name, "fingerprint": self.fingerprint, "examples": self.examples},
            "leaks": [
                {"name": leak.name, "what": leak.what, "count": len(leak.ids), "looked_up": leak.looked_up,
                 "ids": list(leak.ids)} for leak in self.leaks
            ],
        }  # fmt: skip
        if self.training is not None and self.overlap is not None:
            value["training"] = {
                "name": self.training.name,
                "sha256": self.overlap.sha256,
                "dialogues": self.overlap.dialogues,
                "words": self.overlap.words,
            }
            value["normalisation"], value["common_above"] = NORMALISATION, COMMON
            value["overlap"] = [_found_json(found) for found in self.overlap.found]
            value["clean"] = {"examples": int(self.overlap.clean.sum()), "not_clean_ids": list(self.ids)}
        if self.run is not None:
            value["run"] = {"name": self.run, "figures": [asdict(figure) for figure in self.figures]}
        return value

    def to_markdown(self) -> str:
        """Return the report."""
        lines = [
            f"# Check of {markdown_text(self.name)}",
            "",
            f"{self.examples:,} examples.",
            "",
            "## The test set itself",
            "",
        ]
        lines += [_leaks_table(self.leaks).to_markdown()]
        if self.training is not None and self.overlap is not None:
            lines += [f"## Overlap with {markdown_text(self.training.name)}", "", _overlap_text(self.overlap), ""]
            lines += [_overlap_table(self.overlap.found).to_markdown(), _clean_text(self.overlap, self.ids), ""]
        if self.run is not None:
            lines += [f"## {markdown_text(self.run)}: all examples and clean ones", "", self._run_text(), ""]
        return "\n".join(lines).rstrip() + "\n"

    def _run_text(self) -> str:
        assert self.overlap is not None
        clean = int(self.overlap.clean.sum())
        if not self.figures:
            return f"{clean:,} of {self.examples:,} examples are clean: there is nothing to set side by side."
        rows = []
        for item in self.figures:
            figure = registry.figure(item.name)
            difference = figure.cell(item.clean - item.everything, (item.low, item.high), signed=True)
            rows.append((figure.heading, figure.cell(item.everything), figure.cell(item.clean), difference))
        return Table(
            ("Figure", f"all {self.examples:,}", f"clean {clean:,}", "clean - all"),
            tuple(rows),
            ("Intervals are 95%, over other examples drawn for both sides together. Entropy and distinct-n are left "
             "out: they depend on the number of replies.",),
        ).to_markdown()  # fmt: skip


def not_clean(examples: Sequence[Example], overlap: Contamination) -> tuple[str, ...]:
    """Return the ids of the examples that stand in training."""
    return tuple(example.id for example, clean in zip(examples, overlap.clean, strict=True) if not clean)


def clean_figures(run: LoadedRun, clean: Bools, resamples: int = 1000) -> tuple[CleanFigure, ...]:
    """Return the paper's figures and the extra ones of a run, on all examples and on the clean ones.

    Args:
        run: of n replies.
        clean: (n,) which examples count as clean.
        resamples: of the examples, drawn with replacement; each is a paired draw of all and of the clean ones in it.
    """
    if not clean.any() or clean.all() or len(clean) < 2:
        return ()
    whole = _statistics(run)
    weights = resample(len(clean), resamples, _SEED)
    ones = np.ones((1, len(clean)), dtype=np.int32)
    sides = [(whole.figures(w), figures_of(whole, d)) for w, d in ((ones, weights), (ones * clean, weights * clean))]
    found = []
    for name in sides[0][0]:
        if not all(name in figures and name in drawn for figures, drawn in sides) or not _shown(name, run):
            continue
        (everything, all_drawn), (kept, clean_drawn) = ((float(f[name][0]), d[name]) for f, d in sides)
        low, high = percentiles(clean_drawn - all_drawn)
        if np.isfinite([everything, kept, low]).all():
            found.append(CleanFigure(name, everything, kept, low, high))
    return tuple(found)


def check_same_examples(run: LoadedRun, examples: Sequence[Example]) -> None:
    """Check that a run replies to these examples, in their order.

    Raises:
        UserError: it does not.
    """
    mine = [(example.id, list(example.references)) for example in examples]
    if list(zip(run.ids, run.references, strict=True)) != mine:
        raise UserError(
            f"{run.name} was not made on these {len(examples):,} examples (it has {len(run.ids):,}): leave --data out, "
            "to check the run's own, or give the settings of its dataset"
        )


def _statistics(run: LoadedRun) -> Statistics:
    extra = [name for name in run.scores.extra if registry.figure_names(name)]
    found = statistics(
        run.hypotheses,
        run.references,
        run.scores.protocol,
        meteor="meteor" in run.scores.figures,
        extra=extra,
        contexts=run.contexts,
    )
    return found.part(size_biased=False)


def _shown(name: str, run: LoadedRun) -> bool:
    return name in {figure.name for figure in (*PAPER_TABLE, *run.scores.columns())}


def _found_json(found: Found) -> dict[str, Any]:
    value: dict[str, Any] = {
        "kind": found.name,
        "looked_up": int(found.looked_up.sum()),
        "seen": int(found.seen.sum()),
        "rare": int(found.rare.sum()),
    }
    if found.covered is not None:
        means = [_mean(shares) for shares in found.covered]
        value |= {"covered": means[0], "covered_rare": means[1]}
    return value


def _mean(shares: npt.NDArray[np.float64]) -> float | None:
    return float(np.nanmean(shares)) if np.isfinite(shares).any() else None


def _share(count: int, total: int) -> Cell:
    if not total:
        return Cell(None, why="no example has any")
    low, high = exact_interval(count, total)
    return Cell(100 * count / total, 2, "%", 100 * low, 100 * high)


def _leaks_table(leaks: Sequence[Leak]) -> Table:
    rows = []
    for leak in leaks:
        named = ", ".join(leak.ids[:SHOWN]) + (", ..." if len(leak.ids) > SHOWN else "")
        rows.append(
            (leak.what, f"{len(leak.ids):,} of {leak.looked_up:,}", _share(len(leak.ids), leak.looked_up), named)
        )
    return Table(("Examples with", "count", "share", "ids"), tuple(rows))


def _overlap_table(found: Sequence[Found]) -> Table:
    rows: list[tuple[str | Cell, ...]] = []
    for kind in found:
        total, seen, rare = (int(flags.sum()) for flags in (kind.looked_up, kind.seen, kind.rare))
        covered = [Cell(None)] * 2 if kind.covered is None else [
            Cell(None if (mean := _mean(shares)) is None else 100 * mean, 2, "%") for shares in kind.covered
        ]  # fmt: skip
        rows.append(
            (_KINDS.get(kind.name, kind.name), f"{total:,}", f"{seen:,}", _share(seen, total), f"{rare:,}",
             _share(rare, total), *covered)
        )  # fmt: skip
    rarely = f"up to {COMMON} times"
    return Table(
        ("In training", "looked up", "seen", "share", rarely, "share", "words covered", f"covered, {rarely}"),
        tuple(rows),
    )


_KINDS = {
    "pair": "last turn and a reference",
    "context": "whole context",
    **{
        f"ngram{n}{suffix}": f"{n}-gram{what}"
        for n in (8, 13)
        for suffix, what in (("", ", anywhere"), (".reference", " of a reference"), (".context", " of the context"),
                             (".border", " across both"))
    },
}  # fmt: skip


def _overlap_text(overlap: Contamination) -> str:
    return (
        f"{overlap.dialogues:,} dialogues with {overlap.words:,} words were read once (sha256 {overlap.sha256[:12]}). "
        "Words are compared without case and punctuation. The columns after "
        f'"up to {COMMON} times" leave out what training has more often, such as greetings. "Words covered" is the '
        "mean share of the words of the references that stand in such n-grams."
    )


def _clean_text(overlap: Contamination, ids: Sequence[str]) -> str:
    clean, n = int(overlap.clean.sum()), len(overlap.clean)
    text = f"{clean:,} of {n:,} examples are clean: training has nothing of them, or has it more than {COMMON} times."
    if ids:
        named = ", ".join(ids[:SHOWN]) + (", ..." if len(ids) > SHOWN else "")
        text += f" The others: {markdown_text(named)} (check.json has all)."
    return text
