"""One self-contained HTML page of runs: opens from the disk, asks no network for anything."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dialoeval.errors import UserError
from dialoeval.files import read_json, write_text
from dialoeval.paths import assets_dir
from dialoeval.reports.compare import LoadedRun, load_run
from dialoeval.reports.plots import diversity_scatter, intervals_plot, length_plot, setting_plots
from dialoeval.reports.tables import PAPER_COLUMNS, Column, Table, figure, paper_table
from dialoeval.runs.folder import RunFolder

_TEMPLATES = Path(__file__).with_name("templates")


def write_html(
    run_dirs: Sequence[str | os.PathLike[str]], out_path: str | os.PathLike[str], title: str | None = None
) -> None:
    """Write the page for complete runs, and its main table beside it as .md, .csv and .tex.

    Everything that a model or a dataset wrote is escaped: it is shown, never run.

    Raises:
        UserError: a folder is not a complete run, or the page cannot be written.
    """
    from jinja2 import Environment, FileSystemLoader

    if not run_dirs:
        raise UserError("a report needs at least one run")
    runs = [load_run(RunFolder(path)) for path in run_dirs]
    configs = [_config(Path(path)) for path in run_dirs]
    names = _short_names(configs, [run.name for run in runs])
    rows = list(zip(names, [run.scores for run in runs], strict=True))
    table = paper_table(rows, intervals=True)
    plain = paper_table(rows)
    page = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    text = page.get_template("report.html").render(
        title=title or (names[0] if len(names) == 1 else f"{len(names)} runs"),
        table=table,
        exports={"Markdown": plain.to_markdown(), "LaTeX": plain.to_latex(), "CSV": plain.to_csv()},
        paper=_paper_rows(configs),
        plots=[
            *setting_plots(rows, configs),
            intervals_plot(rows),
            diversity_scatter(rows),
            length_plot(names, [run.replies for run in runs]),
        ],
        settings=_settings(names, configs),
        environments=_environments(names, [Path(path) for path in run_dirs]),
        signatures=[(name, run.scores["signatures"]) for name, run in zip(names, runs, strict=True)],
        counts=[
            (name, {k: v for k, v in run.scores["counts"].items() if v}) for name, run in zip(names, runs, strict=True)
        ],
        data=_embedded(names, runs),
        version=runs[0].scores["version"],
    )
    out = Path(out_path)
    write_text(out, text.encode("utf-8", "replace").decode("utf-8"))
    for suffix, content in ((".md", plain.to_markdown()), (".csv", plain.to_csv()), (".tex", plain.to_latex())):
        write_text(out.with_suffix(suffix), content)


def _embedded(names: list[str], runs: Sequence[LoadedRun]) -> str:
    """The replies as compact JSON for the page's table, safe inside a script element."""
    first = runs[0]
    known: dict[str, int] = {name: i for i, name in enumerate(first.ids)}
    for run in runs[1:]:
        for name in run.ids:
            known.setdefault(name, len(known))
    examples: list[list[Any]] = [[name, [], []] for name in known]
    columns = []
    for run in runs:
        replies: list[Any] = [None] * len(known)
        for i, name in enumerate(run.ids):
            segment = run.segments.get(name, {})
            scores = [segment.get(metric) for metric in ("meteor", "nist", "bleu")]
            replies[known[name]] = [run.replies[i], *(None if s is None else round(s, 4) for s in scores)]
            examples[known[name]][1:] = [run.contexts[i], run.references[i]]
        columns.append(replies)
    text = json.dumps(
        {"runs": names, "examples": examples, "replies": columns}, ensure_ascii=True, separators=(",", ":")
    )
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _config(path: Path) -> dict[str, Any]:
    import yaml

    try:
        return yaml.safe_load((path / "config.yaml").read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"cannot read {path / 'config.yaml'}: {error}") from error


def _short_names(configs: list[dict[str, Any]], folders: list[str]) -> list[str]:
    """``model decoding``, with what else tells two runs apart: the settings that differ, else the folder's hash."""
    names = [f"{_model(c)} {c['decoding']['name']}" for c in configs]
    flat = [_flat(c) for c in configs]
    result = []
    for i, name in enumerate(names):
        twins = [j for j, other in enumerate(names) if other == name]
        if len(twins) > 1:
            keys = [k for k in flat[i] if k.startswith(("decoding.", "seed", "dataset.", "engine.dtype"))]
            differing = [k for k in keys if len({str(flat[j].get(k)) for j in twins}) > 1]
            shown = [f"{k.rsplit('.', 1)[-1]}={flat[i][k]}" for k in differing[:3]]
            name = f"{name} {' '.join(shown) or folders[i][-12:]}"
        result.append(name)
    return result


def _model(config: dict[str, Any]) -> str:
    name, path = config["model"]["name"], config["model"]["path"]
    return path.rstrip("/").rsplit("/", 1)[-1] if name == "custom" or (name == "tiny" and path != "tiny") else name


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _settings(names: list[str], configs: list[dict[str, Any]]) -> dict[str, Any]:
    """Settings that differ between the runs, and those that all share."""
    flat = [_flat(config) for config in configs]
    keys = list(dict.fromkeys(key for one in flat for key in one))
    values = {key: [str(one.get(key, "")) for one in flat] for key in keys}
    return {
        "names": names,
        "differing": [(key, row) for key, row in values.items() if len(set(row)) > 1],
        "shared": [(key, row[0]) for key, row in values.items() if len(set(row)) == 1],
    }


def _environments(names: list[str], paths: list[Path]) -> list[tuple[str, dict[str, Any]]]:
    made = []
    for name, path in zip(names, paths, strict=True):
        file = path / "environment.json"
        values = _flat(read_json(file)) if file.is_file() else {}
        made.append((name, {key: value for key, value in values.items() if value not in (None, [], {})}))
    return made


def _paper_rows(configs: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The paper's rows of the runs' protocol, and whether the data is the paper's too."""
    protocols = {config["protocol"]["name"] for config in configs}
    name = protocols.pop() if len(protocols) == 1 else None
    tables = read_json(assets_dir() / "paper" / "tables.json")["tables"]
    if name not in tables:
        name, same = "reddit6k", False
    else:
        same = all(config["dataset"]["kind"] == name for config in configs)
    headings = ("System", *(column.heading for column in PAPER_COLUMNS))
    rows = tuple(
        (system, *(_printed(values.get(column.name), column) for column in PAPER_COLUMNS))
        for system, values in tables[name]["rows"].items()
    )
    return {"title": tables[name]["title"], "table": Table(headings, rows), "same_data": same}


def _printed(value: float | None, column: Column) -> str:
    return "–" if value is None else f"{value:.{column.decimals}f}{column.suffix}"


__all__ = ["figure", "write_html"]
