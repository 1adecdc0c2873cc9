"""One self-contained HTML page: opens from the disk, asks no network for anything.

Everything that a model or a dataset wrote is escaped: it is shown, never run. The page's own policy (a meta element)
forbids everything that is not written in it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from dialoeval.errors import UserError
from dialoeval.files import write_text
from dialoeval.metrics.score_tables import score_table
from dialoeval.reports import compare_text as text
from dialoeval.reports.baseline import BaselineTests, baseline_tests
from dialoeval.reports.compare import Comparison, ComparisonSettings
from dialoeval.reports.comparison_view import comparison_section, exports
from dialoeval.reports.forest import figure_forests
from dialoeval.reports.human_columns import HumanColumn, human_columns
from dialoeval.reports.paper import PAPER, published, table_of
from dialoeval.reports.plots import diversity_scatter, interval_strips, length_plot
from dialoeval.reports.replies_data import embedded
from dialoeval.reports.scores_view import scores_view
from dialoeval.reports.settings_view import matrix, shown_settings
from dialoeval.reports.svg import colour
from dialoeval.reports.sweep_plots import setting_plots
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.reader import LoadedRun, beside_each_other, load_run, short_names
from dialoeval.runs.records import flat
from dialoeval.tables import Heading, Table
from dialoeval.version import __version__

_TEMPLATES = Path(__file__).with_name("templates")


def write_html(
    run_dirs: Sequence[str | os.PathLike[str]],
    out_path: str | os.PathLike[str],
    title: str | None = None,
    *,
    baseline: str | None = None,
    judgments: str | None = None,
) -> BaselineTests:
    """Write the page of complete runs, and its main table beside it as .md, .csv and .tex.

    Args:
        run_dirs: folders of the runs.
        out_path: of the page.
        title: of the page; None: what the runs are.
        baseline: the run that the others are tested against, by a part of its name; None: the first; "none": no tests.
        judgments: a study of these runs, whose answers become columns of the table; None: no study.

    Returns:
        The tests of the runs against the baseline, which take most of the time.

    Raises:
        UserError: a folder is not a complete run, no run is the baseline, the study is not of these runs, or the page
            cannot be written.
    """
    if not run_dirs:
        raise UserError("a report needs at least one run")
    runs = beside_each_other([load_run(RunFolder(path)) for path in run_dirs])
    tests = baseline_tests(runs, baseline)
    human = human_columns(judgments, runs, tests.baseline) if judgments else []
    table = scores_table(runs, human)
    write_page(out_path, "report.html", _report(runs, table, title, tests, human))
    write_tables(out_path, table)
    return tests


def write_comparison(
    comparisons: Sequence[Comparison], settings: ComparisonSettings, out_path: str | os.PathLike[str]
) -> None:
    """Write the page of the runs compared, the tests and their reasons first.

    Raises:
        UserError: the page cannot be written.
    """
    runs = list({run.name: run for c in comparisons for run in (c.a, c.b)}.values())
    method, warning = text.method(comparisons, settings), text.too_few_trials(comparisons, settings)
    adjusted = {c.b.name: c.adjusted for c in comparisons if c.a is runs[0]}
    tests = BaselineTests(0, [adjusted.get(run.name, {}) for run in runs], "Tests: see the comparison above.")
    values = _report(runs, scores_table(runs), f"Comparison of {len(runs)} runs", tests)
    shown = {
        "comparisons": list(map(comparison_section, comparisons)),
        "forests": figure_forests(comparisons),
        "method": method,
        "warning": warning,
    }
    write_page(out_path, "report.html", values | shown)


def write_plain(
    out_path: str | os.PathLike[str], title: str, meta: str, sections: Sequence[tuple[str, str, Table, Sequence[str]]]
) -> None:
    """Write a page of tables alone.

    Args:
        out_path: of the page.
        title: of the page.
        meta: a line below the title.
        sections: (heading, remark, table, lines of a list below it).
    """
    tables = [(heading, remark, Markup(table.to_html()), lines) for heading, remark, table, lines in sections]
    write_page(out_path, "plain.html", {"title": title, "meta": meta, "sections": tables})


def write_tables(out_path: str | os.PathLike[str], table: Table) -> None:
    """Write a table beside a page, as .md, .csv and .tex."""
    out = Path(out_path)
    for suffix, content in ((".md", table.to_markdown()), (".csv", table.to_csv()), (".tex", table.to_latex())):
        write_text(out.with_suffix(suffix), _encodable(content))


def write_page(out_path: str | os.PathLike[str], template: str, values: dict[str, Any]) -> None:
    """Write a page from a template of this package and its values; texts are escaped, `Markup` is not."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    page = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    rendered = page.get_template(template).render(version=__version__, **values)
    write_text(out_path, _encodable(rendered))


def _encodable(text: str) -> str:
    """Return text with question marks for lone surrogates, which no UTF-8 file can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def scores_table(runs: Sequence[LoadedRun], human: Sequence[HumanColumn] = ()) -> Table:
    """Return the table of scores of a page's runs, with columns of human judgments."""
    names = short_names(runs)
    systems = [(name, run.scores) for name, run in zip(names, runs, strict=True)]
    marks = [name for name, run in zip(names, runs, strict=True) if run.settings.is_mark]
    table = score_table(systems, intervals=True, ranked=len({run.dataset for run in runs}) == 1, unranked=marks)
    headings = (*table.headings, *(Heading(column.about.heading, column.about.name, True) for column in human))
    rows = ((*row, *(column.cells[i].cell for column in human)) for i, row in enumerate(table.rows))
    return replace(table, headings=headings, rows=tuple(rows))


def _report(
    runs: list[LoadedRun],
    table: Table,
    title: str | None,
    tests: BaselineTests,
    human: Sequence[HumanColumn] = (),
) -> dict[str, Any]:
    names = short_names(runs)
    plots = [*setting_plots(names, runs), diversity_scatter(names, runs), length_plot(names, runs)]
    best = table.best()
    view = scores_view(runs, tests, best)
    for column in human:
        view.add(column.about, column.cells, best)
    return {
        "title": title or (names[0] if len(names) == 1 else f"{len(names)} runs on {_several(_dataset_names(runs))}"),
        "meta": _meta(runs),
        "names": names,
        "colours": [colour(i) for i in range(len(runs))],
        "several_datasets": len({run.dataset for run in runs}) > 1,
        "scores": view,
        "notes": table.notes,
        "exports": exports(table),
        "extra": _extra(names, runs),
        "paper": _paper(runs),
        "strips": interval_strips(runs),
        "plots": [plot for plot in plots if plot],
        "settings": matrix([shown_settings(run.settings) for run in runs]),
        "environment": matrix([flat(run.environment.to_json()) if run.environment else {} for run in runs]),
        "signatures": [(name, run.scores.signatures) for name, run in zip(names, runs, strict=True)],
        "folders": [(name, run.name) for name, run in zip(names, runs, strict=True)],
        "counts": _counts(names, runs),
        "data": Markup(embedded(names, runs)),
        "input_warnings": [
            (name, finding.message) for name, run in zip(names, runs, strict=True) for finding in run.scores.warnings
        ],
        "comparisons": [],
        "forests": [],
        "method": "",
        "warning": "",
    }


def _meta(runs: Sequence[LoadedRun]) -> str:
    """Return on which data and under which protocol the runs are."""
    sizes = _several([f"{len(run.ids):,}" for run in runs])
    protocols = _several([run.scores.protocol.name for run in runs])
    return f"{_several(_dataset_names(runs))}, {sizes} examples, protocol {protocols}"


def _dataset_names(runs: Sequence[LoadedRun]) -> list[str]:
    return [str(run.settings.dataset.get("name")) for run in runs]


def _several(values: Sequence[Any]) -> str:
    return ", ".join(dict.fromkeys(map(str, values)))


def _extra(names: Sequence[str], runs: Sequence[LoadedRun]) -> list[tuple[str, str, str, str]]:
    """Return (run, metric, score, signature) of the metrics beyond the paper's."""
    return [
        (name, metric, _number(result.score), result.signature)
        for name, run in zip(names, runs, strict=True)
        for metric, result in run.scores.extra.items()
    ]


def _number(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _counts(names: Sequence[str], runs: Sequence[LoadedRun]) -> list[tuple[str, str]]:
    """Return (run, its degenerate input in words) of the runs that had some."""
    rows = []
    for name, run in zip(names, runs, strict=True):
        parts = [f"{count:,} {key.replace('_', ' ')}" for key, count in run.scores.counts.items() if count]
        if parts:
            rows.append((name, ", ".join(parts)))
    return rows


@dataclass(frozen=True)
class PaperSection:
    """Rows of the paper; `same_data` if they are for the test set and protocol of the runs."""

    title: str
    table: Markup
    same_data: bool


def _paper(runs: Sequence[LoadedRun]) -> PaperSection:
    """Return the paper's rows of the runs' own test set, or else of the Reddit one, marked as other data."""
    kinds = {str(run.settings.dataset.get("kind")) for run in runs}
    protocols = {run.scores.protocol.name for run in runs}
    own = next((name for name in PAPER if kinds == {name}), None)
    name = own or "reddit6k"
    return PaperSection(
        published().tables[name].title, Markup(table_of(name).to_html()), own is not None and protocols == {name}
    )
