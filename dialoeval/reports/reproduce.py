"""The paper's tables beside what can be measured here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dialoeval.config import ScoringConfig
from dialoeval.config.compose import group
from dialoeval.data.dstc7_release import SystemReplies, read_release
from dialoeval.errors import UserError
from dialoeval.files import read_json
from dialoeval.metrics.figures import PAPER_TABLE
from dialoeval.metrics.score_tables import score_cell
from dialoeval.metrics.scores import Scores, protocol_json, protocol_named, score
from dialoeval.reports.paper import PAPER, Figures, known, printed_cell, published
from dialoeval.reports.reproduce_reddit6k import human_rows
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.identity import decoding_settings
from dialoeval.runs.records import RunSettings
from dialoeval.tables import Cell, Heading, Table
from dialoeval.text.guards import check_replies

# Rows of the paper's tables, and the runs that make them: the model and its decoding.
GENERATED = {
    "DialoGPT 117M": ("dialogpt-small", "greedy"),
    "DialoGPT 345M": ("dialogpt-medium", "greedy"),
    "DialoGPT 762M": ("dialogpt-large", "greedy"),
    "DialoGPT 345M beam": ("dialogpt-medium", "beam 10"),
    "DialoGPT 345M MMI": ("dialogpt-medium", "mmi"),
}
# The shipped decodings of those rows. The paper prints no length limits: the shipped ones are taken for its own.
SHIPPED = {"greedy": "greedy", "beam 10": "beam", "mmi": "mmi"}
PROMPT = {"format": "dialogpt", "system_prompt": None, "instruction": None, "max_turns": 0}
# The organisers' names of systems that have other names in the release. The others are "<name>-Primary".
ORGANISERS = {
    "Constant": "Baseline (constant)",
    "Random": "Baseline (random)",
    "Baseline": "Baseline (seq2seq)",
    "Human": "Human",
}


@dataclass(frozen=True)
class Line:
    """Figures in the unit the paper prints, and where they come from.

    Attributes:
        label: what the table's line is called.
        cells: one a column of the paper.
        source: where the figures are published, or what they were computed from.
    """

    label: str
    cells: tuple[Cell, ...]
    source: str


@dataclass(frozen=True)
class Row:
    """A system.

    Attributes:
        published: the first is what the measured figures are compared with.
        measured: here.
        missing: why nothing was measured.
    """

    system: str
    published: tuple[Line, ...] = ()
    measured: tuple[Line, ...] = ()
    missing: str = ""


def reproduce(table: str, data: Path | None, runs: Iterable[RunFolder], *, progress: bool = False) -> list[Row]:
    """Return the rows of one of the paper's tables, then those of other runs and of released replies.

    Args:
        table: "dstc7" or "reddit6k".
        data: a folder with the table's published replies: ``human.ref.6k.txt`` or the rebuilt set (reddit6k), or a
            DSTC-7 release (`dialoeval.data.dstc7_release.read_release`).
        runs: run folders, of which the complete ones of DialoGPT models on this table's data are rows. What is not
            proven of a run (weights, data, decoding, lengths) is said in its label, which then begins with "claimed".
        progress: show the progress of slow metrics on stderr.

    Raises:
        UserError: unknown table, or a folder without the files.
    """
    if table not in PAPER:
        raise UserError(f"unknown table {table!r} (known: {', '.join(PAPER)})")
    measured, refused = _from_runs(table, runs)
    if table == "reddit6k" and data:
        rows_of_humans = human_rows(data, progress)
        measured.setdefault("Human", []).extend(
            _measured("measured here", row.scores, row.source, row.why) for row in rows_of_humans
        )
    rows = []
    for system, figures in published().tables[table].rows.items():
        lines = tuple(measured.pop(system, ()))
        missing = "" if lines else _why_missing(table, system, data)
        rows.append(Row(system, (_printed(figures, "the paper", published().source),), lines, missing))
    rows += [Row(system, (), tuple(lines)) for system, lines in measured.items()]
    rows += [Row(name, missing=why) for name, why in refused.items()]
    if table == "dstc7" and data:
        official = _official(data)
        rows += [_release_row(system, official, progress) for system in read_release(data)]
    return rows


def to_table(rows: Iterable[Row]) -> Table:
    """Return the published figures of each system, the measured ones below them, and the difference."""
    headings = ("System", *(Heading(column.heading, column.name) for column in PAPER_TABLE))
    lines: list[tuple[str | Cell, ...]] = []
    for row in rows:
        first, *others = row.published or (None,)
        if first:
            lines.append((f"{row.system}, {first.label}", *first.cells))
        for measured in row.measured:
            lines.append((f"{row.system}, {measured.label}", *measured.cells))
            if first:
                lines.append((f"{row.system}, difference", *difference(measured, first)))
        lines += [(f"{row.system}, {other.label}", *other.cells) for other in others if other]
    return Table(headings, tuple(lines))


def difference(measured: Line, reported: Line) -> tuple[Cell, ...]:
    """Return the measured figures minus the reported ones, a cell a column."""
    cells = []
    for column, a, b in zip(PAPER_TABLE, measured.cells, reported.cells, strict=True):
        value = None if a.value is None or b.value is None else a.value - b.value
        cells.append(Cell(value, column.decimals, signed=True, factor=100 if column.percent else 1))
    return tuple(cells)


def sources(rows: Iterable[Row]) -> list[str]:
    """Return, for each row, what it was computed from, or why it was not."""
    lines = []
    for row in rows:
        lines += [f"{row.system}, {line.label}: {line.source}" for line in row.measured]
        if row.missing:
            lines.append(f"{row.system}: not measured: {row.missing}")
    return lines


def to_json(table: str, rows: Iterable[Row]) -> dict[str, Any]:
    """Return all of it as JSON values, in the units of the paper's tables."""

    def line(one: Line) -> dict[str, Any]:
        return {"label": one.label, "source": one.source, "figures": figures(one.cells)}

    def figures(cells: Iterable[Cell]) -> dict[str, float | None]:
        return {column.name: cell.value for column, cell in zip(PAPER_TABLE, cells, strict=True)}

    return {
        "schema": 1,
        "table": table,
        "units": published().units,
        "rows": [
            {
                "system": row.system,
                "published": [line(one) for one in row.published],
                "measured": [line(one) for one in row.measured],
                "differences": [figures(difference(one, row.published[0])) for one in row.measured if row.published],
                "missing": row.missing or None,
            }
            for row in rows
        ],
    }


def _measured(label: str, scores: Scores, source: str, why: str = "") -> Line:
    cells = [score_cell(scores, figure, intervals=False) for figure in PAPER_TABLE]
    if why:
        cells = [replace(cell, why=why) if cell.value is None else cell for cell in cells]
    return Line(label, tuple(cells), source)


def _printed(figures: Figures, label: str, source: str) -> Line:
    return Line(label, tuple(printed_cell(figures.get(c.name), c) for c in PAPER_TABLE), source)


def _as_printed(figures: Figures) -> Figures:
    """Return figures of the official tools (fractions, distinct called div) in the unit of the paper's tables."""
    renamed = {name.replace("div", "distinct"): value for name, value in figures.items()}
    return {f.name: renamed[f.name] * (100 if f.percent else 1) for f in PAPER_TABLE if f.name in renamed}


def _from_runs(table: str, runs: Iterable[RunFolder]) -> tuple[dict[str, list[Line]], dict[str, str]]:
    """Return the figures of complete DialoGPT runs on the table's data and protocol.

    Returns:
        {row of the paper, or a name of its own: lines}, and {run: why it is not measured}.
    """
    measured: dict[str, list[Line]] = {}
    refused = {}
    for folder in runs:
        try:
            scores = folder.scores() if folder.is_complete() else None
            if scores is None or scores.protocol.name != table:
                continue
            settings, identity = folder.settings(), folder.existing_manifest().identity
            model = _model(settings, identity)
            if settings.dataset.get("kind") != table or not model.startswith("dialogpt"):
                continue
            if why := _why_refused(table, folder, scores):
                refused[folder.path.name] = why
                continue
        except UserError as error:
            refused[folder.path.name] = f"it cannot be read: {error}"
            continue
        decoding = _decoding(settings.decoding)
        system = next((row for row, pair in GENERATED.items() if pair == (model, decoding)), f"{model} {decoding}")
        unproven = [
            *_unproven_weights(model, identity),
            *_unproven_data(table, identity, scores),
            *_other_decoding(decoding, identity),
        ]
        label = f"claimed: {'; '.join(unproven)}" if unproven else "measured here"
        line = _measured(label, scores, _run_source(folder, settings, scores))
        measured.setdefault(system, []).append(line)
    return measured, refused


def _why_refused(table: str, folder: RunFolder, scores: Scores) -> str:
    """Return why a run's figures cannot stand in the table, or an empty string.

    The texts are looked at again, since scores.json may be older than the warnings in it.
    """
    theirs, shipped = protocol_json(scores.protocol), protocol_json(protocol_named(table))
    if other := _differences(theirs, shipped):
        return f"it was scored with other settings than those of protocol {table} ({other})"
    rows, references = folder.replies(), folder.references()
    lists = [references.get(row.id, []) for row in rows]
    findings = check_replies([row.reply for row in rows], lists, [row.context for row in rows], english_only=True)
    return "; ".join(finding.message for finding in findings if finding.blocking)


def _model(settings: RunSettings, identity: Mapping[str, Any]) -> str:
    """Return ``dialogpt-medium`` of known weights, else of a hub's or a folder's name, which proves nothing."""
    weights = _generator(identity).get("weights")
    proven = next((model for model, hashes in known().weights.items() if weights in hashes), None)
    return proven or str(settings.model.get("path", "")).rstrip("/").rsplit("/", 1)[-1].lower()


def _generator(identity: Mapping[str, Any]) -> Mapping[str, Any]:
    generator = identity.get("generator")
    return generator if isinstance(generator, dict) else {}


def _unproven_weights(model: str, identity: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is not proven of the model: its weights, its prompt, and the backward model's weights."""
    generator = _generator(identity)
    if generator.get("weights") not in known().weights.get(model, ()):
        yield "weights by name only"
    if generator.get("prompt") != PROMPT:
        yield "prompt not the release's"
    reranker = generator.get("reranker")
    if isinstance(reranker, dict) and reranker.get("weights") not in known().weights["dialogpt-reverse"]:
        yield "backward weights by name only"


def _unproven_data(table: str, identity: Mapping[str, Any], scores: Scores) -> Iterator[str]:
    data = known().data[table]
    if scores.n != data.examples:
        yield f"{scores.n:,} examples, not {data.examples:,}"
    if identity.get("dataset") not in data.fingerprints:
        yield "data by name only"


def _other_decoding(decoding: str, identity: Mapping[str, Any]) -> Iterator[str]:
    """Yield how the decoding differs from the shipped one, lengths included; nothing if no row of the paper has it."""
    if decoding in SHIPPED:
        theirs, shipped = identity.get("decoding"), decoding_settings(group("decoding", SHIPPED[decoding]))
        if not isinstance(theirs, dict):
            yield "decoding by name only"
        elif other := _differences(theirs, shipped):
            yield f"decoding not the release's ({other})"


def _differences(theirs: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """Return ``key=value, not expected`` of each setting that differs."""
    differing = [key for key in {**expected, **theirs} if theirs.get(key) != expected.get(key)]
    return ", ".join(f"{key}={theirs.get(key)}, not {expected.get(key)}" for key in differing)


def _decoding(decoding: Mapping[str, Any]) -> str:
    if decoding.get("rerank") not in (None, "none"):
        return str(decoding["rerank"])
    strategy = str(decoding.get("strategy"))
    return f"{strategy} {decoding.get('num_beams')}" if strategy == "beam" else strategy


def _run_source(folder: RunFolder, settings: RunSettings, scores: Scores) -> str:
    names = ("length_penalty", "no_repeat_ngram_size", "min_new_tokens", "max_new_tokens", "num_candidates", "top_k")
    decoding = ", ".join(f"{name}={settings.decoding.get(name)}" for name in names)
    limit = settings.dataset.get("limit")
    part = "" if limit is None else f" (limit {limit}: not the whole set)"
    if settings.dataset.get("kind") == "reddit6k" and not folder.human_replies():
        part += " (the human reply is not kept apart: it may be one of the references)"
    return f"run {folder.path}, {scores.n} examples{part}, {decoding}"


def _official(data: Path) -> Mapping[str, Figures]:
    """Return what the official tools print for the released replies: the folder's official.json over the package's."""
    file = data / "official.json"
    systems = read_json(file) if file.is_file() else {}
    if not isinstance(systems, dict) or not all(isinstance(figures, dict) for figures in systems.values()):
        raise UserError(f"{file} must hold one object of figures a system")
    return {**published().release.systems, **systems}


def _release_row(system: SystemReplies, official: Mapping[str, Figures], progress: bool) -> Row:
    scores = score(system.replies, system.references, "dstc7", ScoringConfig(resamples=0), progress=progress)
    organisers, release = published().organisers, published().release
    all_contexts = organisers.systems.get(ORGANISERS.get(system.name, f"{system.name}-Primary"))
    lines = []
    same_size = release.contexts == len(system.ids)
    if same_size and system.name in official:
        label = f"official tools, {len(system.ids):,} contexts"
        lines.append(_printed(_as_printed(official[system.name]), label, release.source))
    if all_contexts:
        label = f"organisers, {organisers.contexts:,} contexts"
        lines.append(_printed(_as_printed(all_contexts), label, organisers.source))
    source = f"{system.source}, {len(system.ids):,} contexts"
    if system.left_out:
        source += f"; {system.left_out:,} replies without references left out"
    if lines and len(system.ids) != organisers.contexts and not (same_size and system.name in official):
        source += f"; the difference is to the organisers' {organisers.contexts:,} contexts, of which these are a part"
    label = f"measured here, {len(system.ids):,} contexts"
    return Row(f"{system.name} (released replies)", tuple(lines), (_measured(label, scores, source),))


def _why_missing(table: str, system: str, data: Path | None) -> str:
    if system in GENERATED:
        model, decoding = GENERATED[system]
        return f"no complete run of {model} ({decoding}) on {table}: it needs the weights and the rebuilt data"
    if table == "reddit6k" and data is None:
        return "no folder with human.ref.6k.txt was given"
    if table == "reddit6k":
        return "its replies are not public"
    return "its replies to all 2,208 contexts are not public; the released ones are below if their folder is given"
