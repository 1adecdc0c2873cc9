"""The Python face: what the command line does, as functions. `import dialoeval as de` offers them all.

Each takes names of ``conf/`` (``model="tiny"``, ``decoding="beam"``) and settings as on the command line, and returns
objects that print as one line, show as a table in a notebook, and turn into pandas frames.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, SupportsIndex

from dialoeval.config import DatasetConfig, ProtocolConfig, RunConfig, ScoringConfig
from dialoeval.config.compose import compose
from dialoeval.config.groups import group_options
from dialoeval.data import Dataset
from dialoeval.data.scoring_files import Reading
from dialoeval.errors import UserError
from dialoeval.metrics.scores import Scores
from dialoeval.metrics.scores import score as _score

if TYPE_CHECKING:
    import pandas

    from dialoeval.generation.types import Generator
    from dialoeval.reports.compare import Comparison, ComparisonSettings
    from dialoeval.runs.reader import LoadedRun


def run(
    model: str | os.PathLike[str] = "tiny",
    decoding: str = "greedy",
    dataset: str | os.PathLike[str] = "chitchat",
    *,
    protocol: str = "none",
    engine: str = "auto",
    overrides: Sequence[str] = (),
) -> LoadedRun:
    """Generate replies and score them, as ``dialoeval run`` does; return the run.

    Run again, the same settings find their folder: finished replies are not generated twice.

    Args:
        model: an option of conf/model/, or a model folder or hub name (``owner/name``).
        decoding: an option of conf/decoding/.
        dataset: an option of conf/dataset/, or a file of dialogues.
        protocol: an option of conf/protocol/: which references count, and how text is cleaned.
        engine: an option of conf/engine/.
        overrides: further settings as on the command line, such as ``["dataset.limit=50", "seed=1"]``.

    Raises:
        UserError: an unknown name or setting, or anything else the user can put right.
    """
    from dialoeval.runs.runner import run as run_config

    return run_config(_compose(model, decoding, dataset, protocol, engine, overrides)).loaded


def score(
    hypotheses: Iterable[str],
    references: Iterable[Iterable[str]],
    protocol: str | ProtocolConfig | None = None,
    *,
    extra: Sequence[str] = (),
    meteor: bool = True,
    resamples: int = 1000,
    contexts: Iterable[Iterable[str]] | None = None,
) -> Scores:
    """Score replies with the paper's metrics, as ``dialoeval score`` does.

    Args:
        hypotheses: n replies: a list, tuple, generator, numpy array or pandas Series of strings.
        references: `references[i]` holds the references of reply i; their number may vary, and may be 0.
        protocol: ``"dstc7"``, ``"reddit6k"`` or ``"none"``, or its settings; None: the text as it is.
        extra: names of further metrics, such as ``["rouge_l", "bertscore"]``.
        meteor: with METEOR, the slow one of the paper's metrics.
        resamples: of the bootstrap; 0: no intervals.
        contexts: the turns before each reply, which some extra metrics look at.

    Raises:
        UserError: the lists do not fit, an entry is not a string, an unknown metric or protocol.

    >>> s = score(["i like it", "no"], [["i like it a lot"], ["no", "not at all"]], meteor=False, resamples=0)
    >>> round(s["bleu1"], 4), s.interval("bleu1")
    (0.6065, None)
    """
    if not isinstance(meteor, bool):
        raise UserError(f"meteor is True or False, not {meteor!r}")
    if not (protocol is None or isinstance(protocol, str | ProtocolConfig)):
        raise UserError(f"protocol is a name such as 'dstc7', not {type(protocol).__name__}")
    scoring = ScoringConfig(meteor=meteor, extra=_listed(extra, "extra"), resamples=_whole(resamples, "resamples"))
    return _score(hypotheses, references, protocol, scoring, contexts=contexts)


def import_replies(
    replies: str | os.PathLike[str],
    references: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    contexts: str | os.PathLike[str] | None = None,
    *,
    name: str | None = None,
    protocol: str = "none",
    meteor: bool = True,
    reports_dir: str | os.PathLike[str] = "reports",
) -> LoadedRun:
    """Make a run of one system's replies from elsewhere, as ``dialoeval import`` does; return it.

    Args:
        replies: a file that ``dialoeval score`` reads.
        references: a file, or parallel files.
        contexts: file of the turns before each reply; None: those in the file of replies, if it has any.
        name: of the system; None: its own, or that of the file.
        protocol: an option of conf/protocol/.
        meteor: with METEOR, the slow one of the paper's metrics.
        reports_dir: the folder that holds the run folders.

    Raises:
        UserError: a file cannot be read or told, ids do not match, or the file holds several systems.
    """
    from dialoeval.metrics.scores import protocol_named
    from dialoeval.runs.importer import ImportSettings
    from dialoeval.runs.importer import import_replies as import_files

    rules = protocol_named(protocol)
    settings = ImportSettings(
        rules,
        ScoringConfig(meteor=meteor),
        Reading(positional=bool(rules.slots) or rules.held_out is not None),
        name,
        reports_dir=os.fspath(reports_dir),
    )
    several = [references] if isinstance(references, str | os.PathLike) else references
    files = [os.fspath(file) for file in several]
    runs = import_files([os.fspath(replies)], files, None if contexts is None else os.fspath(contexts), settings)
    if len(runs) > 1:
        raise UserError(f"{os.fspath(replies)} holds {len(runs)} systems, each a run now: read one with load_run")
    return load_run(runs[0][0].path)


def compare(
    runs: Sequence[str | os.PathLike[str] | LoadedRun],
    *,
    figures: Sequence[str] = (),
    resamples: int = 1000,
    trials: int = 1000,
    seed: int = 12345,
    correction: str = "holm",
    all_pairs: bool = False,
    reports_dir: str | os.PathLike[str] = "reports",
) -> Comparisons:
    """Compare each run with the first, or every pair, by paired tests on every figure, as ``dialoeval compare`` does.

    Args:
        runs: runs, their folders, or parts of names in `reports_dir` that only one run has.
        figures: flat names to test; empty: the paper's nine, and the extra metrics of all runs.
        resamples: of the paired bootstrap.
        trials: of approximate randomization.
        seed: of both tests.
        correction: of p-values over all tests made together: ``"holm"``, ``"bh"`` or ``"none"``.
        all_pairs: compare every pair.
        reports_dir: the folder that holds the run folders.

    Raises:
        UserError: fewer than two runs, runs on different data, an unknown figure.
    """
    from dialoeval.reports.compare import ComparisonSettings
    from dialoeval.reports.compare import compare as compare_runs

    settings = ComparisonSettings(
        tuple(_listed(figures, "figures")),
        _whole(resamples, "resamples"),
        _whole(trials, "trials"),
        _whole(seed, "seed"),
        correction,
        all_pairs,
    )
    if isinstance(runs, str | os.PathLike) or not isinstance(runs, Iterable):
        raise UserError(f"runs is not a list but {runs!r}: give at least two runs to compare")
    loaded = [load_run(item, reports_dir) for item in runs]
    return Comparisons(tuple(compare_runs(loaded, settings)), settings)


def load_run(name: str | os.PathLike[str] | LoadedRun, reports_dir: str | os.PathLike[str] = "reports") -> LoadedRun:
    """Read a complete run.

    Args:
        name: its folder, or a part of its name in `reports_dir` that only one run has; a run is returned as it is.
        reports_dir: the folder that holds the run folders.

    Raises:
        UserError: there is no such run, or several; it is not complete; a file of it is damaged.
    """
    from dialoeval.runs.folder import find
    from dialoeval.runs.reader import LoadedRun
    from dialoeval.runs.reader import load_run as read

    if isinstance(name, LoadedRun):
        return name
    return read(find(_path(name, "a run"), _path(reports_dir, "reports_dir")))


def list_runs(reports_dir: str | os.PathLike[str] = "reports") -> pandas.DataFrame:
    """Return a row for each run: its status, its settings, and every figure with its interval if it has scores.

    Args:
        reports_dir: the folder that holds the run folders; a damaged one is a row too, with its error.

    Raises:
        UserError: `reports_dir` is a file.
    """
    from dialoeval.runs import frame

    folder = Path(_path(reports_dir, "reports_dir"))
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is not a folder of runs")
    return frame.runs_frame(frame.list_runs(folder))


def board(
    reports_dir: str | os.PathLike[str] = "reports",
    *,
    columns: Sequence[str] = (),
    sort: str = "",
    filters: Sequence[str] = (),
    group: str = "",
    each_seed: bool = False,
) -> pandas.DataFrame:
    """Return the complete runs as ``dialoeval board`` ranks them: those on the same data and protocol together.

    Args:
        reports_dir: the folder that holds the run folders.
        columns: figures and settings; empty: the paper's nine, and the extra metrics of all runs.
        sort: a figure, the best first, or a setting; empty: NIST-4.
        filters: such as ``["model=tiny", "decoding.num_beams=1,10"]``, all of which a run must fit.
        group: ``"model"`` or ``"decoding"``: its rows together.
        each_seed: a row a run, not one with mean and standard deviation (``bleu4_sd``) for all seeds.

    Raises:
        UserError: no run is complete or fits, an unknown figure or setting.
    """
    from dialoeval.reports.board import BoardSettings, make_board
    from dialoeval.reports.board_text import to_frame

    settings = BoardSettings(
        tuple(_listed(columns, "columns")), sort, tuple(_listed(filters, "filters")), group, each_seed
    )
    return to_frame(make_board([_path(reports_dir, "reports_dir")], settings))


def load_dataset(name: str | os.PathLike[str] = "chitchat", *, overrides: Sequence[str] = ()) -> Dataset:
    """Load the examples of a dataset: contexts and references.

    Args:
        name: an option of conf/dataset/, or a file of dialogues.
        overrides: further settings as on the command line, such as ``["dataset.limit=50"]``.

    Raises:
        UserError: an unknown name, or data that is missing or malformed, naming file, line and field.

    >>> load_dataset("chitchat", overrides=["dataset.limit=3"])
    Dataset(chitchat, 3 examples)
    """
    from dialoeval import data

    config: DatasetConfig = compose("config", [*_choice("dataset", name), *_listed(overrides, "overrides")]).dataset
    return data.load(config)


def open_generator(
    model: str | os.PathLike[str] = "tiny",
    decoding: str = "greedy",
    *,
    engine: str = "auto",
    overrides: Sequence[str] = (),
) -> tuple[Generator, RunConfig]:
    """Load a model; return its generator and the settings it was opened with, for `Generator.reply`.

    Raises:
        UserError: the model cannot be loaded, or the engine cannot do this.
    """
    from dialoeval.generation import open_generator as open_configured
    from dialoeval.generation.checkpoint import with_checkpoint_settings

    config = with_checkpoint_settings(_compose(model, decoding, "chitchat", "none", engine, overrides))
    return open_configured(config.model, config.engine, config.decoding), config


@dataclass(frozen=True, repr=False)
class Comparisons:
    """Comparisons made together, whose p-values are corrected over all of them."""

    comparisons: tuple[Comparison, ...]
    settings: ComparisonSettings

    def __iter__(self) -> Iterator[Comparison]:
        return iter(self.comparisons)

    def __len__(self) -> int:
        return len(self.comparisons)

    def __getitem__(self, i: int) -> Comparison:
        return self.comparisons[i]

    def to_markdown(self) -> str:
        """Return what ``dialoeval compare`` prints: the tests, and why the runs differ."""
        from dialoeval.reports.compare_text import to_markdown

        return to_markdown(self.comparisons, self.settings)

    def to_frame(self) -> pandas.DataFrame:
        """Return a row for each figure of each pair: values, difference, interval, p-values; fractions as in JSON."""
        import pandas

        return pandas.DataFrame(
            [
                {
                    "a": c.names[0],
                    "b": c.names[1],
                    "figure": name,
                    "value_a": result.a,
                    "value_b": result.b,
                    "difference": result.difference,
                    "low": result.low,
                    "high": result.high,
                    "p_adjusted": c.adjusted[name],
                    "p_randomization": c.randomization[name].p_two_sided,
                    "p_bootstrap": result.p_two_sided,
                    "p_bootstrap_adjusted": c.adjusted_bootstrap[name],
                }
                for c in self.comparisons
                for name, result in c.bootstrap.items()
            ]
        )

    def __repr__(self) -> str:
        from dialoeval.reports.compare_text import verdict

        return "\n".join(f"{c.names[1]} against {c.names[0]}: {verdict(c)}" for c in self.comparisons)

    def _repr_html_(self) -> str:
        from dialoeval.reports.compare_text import figures_table

        parts = []
        for c in self.comparisons:
            table = figures_table(c)
            notes = "".join(f"<p>{escape(note)}</p>" for note in table.notes)
            parts.append(f"<h4>{escape(c.names[1])} against {escape(c.names[0])}</h4>{table.to_html()}{notes}")
        return "".join(parts)


def _compose(
    model: str | os.PathLike[str],
    decoding: str,
    dataset: str | os.PathLike[str],
    protocol: str,
    engine: str,
    overrides: Sequence[str],
) -> RunConfig:
    chosen = [*_choice("model", model), f"decoding={decoding}", *_choice("dataset", dataset)]
    config: RunConfig = compose(
        "config", [*chosen, f"protocol={protocol}", f"engine={engine}", *_listed(overrides, "overrides")]
    )
    return config


def _listed(values: Sequence[str] | str, what: str) -> list[str]:
    """Return the strings as a list; a string alone stands for a list of one."""
    items = [values] if isinstance(values, str) else list(values) if isinstance(values, Iterable) else [values]
    if wrong := [item for item in items if not isinstance(item, str)]:
        raise UserError(f"{what} is a list of strings; {wrong[0]!r} is not one")
    return items


def _whole(value: SupportsIndex, what: str) -> int:
    """Return a whole number, of numpy too, as an int."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise UserError(f"{what} is a whole number, not {value!r}")
    return operator.index(value)


def _path(value: str | os.PathLike[str], what: str) -> str:
    if not isinstance(value, str | os.PathLike):
        raise UserError(f"{what} must be a name or a path, not {type(value).__name__}")
    return os.fspath(value)


def _choice(group: str, name: str | os.PathLike[str]) -> list[str]:
    """The overrides that choose an option of a group, or the option that takes a path and the path."""
    text = _path(name, group)
    by_path = {"model": "custom", "dataset": "file"}[group]
    is_path = isinstance(name, os.PathLike) or "/" in text or os.sep in text or Path(text).exists()
    if text in group_options(group) or not is_path:
        return [f"{group}={text}"]
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    return [f"{group}={by_path}", f"{group}.path='{quoted}'"]


__all__ = [
    "Comparisons",
    "board",
    "compare",
    "import_replies",
    "list_runs",
    "load_dataset",
    "load_run",
    "open_generator",
    "run",
    "score",
]
