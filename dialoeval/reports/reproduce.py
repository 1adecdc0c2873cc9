"""The paper's tables beside what can be measured here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dialoeval.config import ScoringConfig
from dialoeval.config.compose import group
from dialoeval.errors import UserError
from dialoeval.files import read_json, read_jsonl, read_lines
from dialoeval.paths import assets_dir
from dialoeval.reports.tables import PAPER_COLUMNS, Table, figure
from dialoeval.runs.folder import RunFolder

TABLES = ("dstc7", "reddit6k")
# Rows of the paper's tables and the runs that make them: the model's hub name and what its decoding must be.
GENERATED = {
    "DialoGPT 117M": ("microsoft/DialoGPT-small", "greedy", 1),
    "DialoGPT 345M": ("microsoft/DialoGPT-medium", "greedy", 1),
    "DialoGPT 762M": ("microsoft/DialoGPT-large", "greedy", 1),
    "DialoGPT 345M beam": ("microsoft/DialoGPT-medium", "beam", 10),
    "DialoGPT 345M MMI": ("microsoft/DialoGPT-medium", "mmi", 1),
}
# The organisers' names of the systems whose replies were released, where they differ from the release's.
ORGANISERS = {
    "Constant": "Baseline (constant)",
    "Random": "Baseline (random)",
    "Baseline": "Baseline (seq2seq)",
    "S2S": "Baseline (seq2seq)",
    "Human": "Human",
}


@dataclass(frozen=True)
class Row:
    """One row: the paper's (or organisers') figures, ours, and what ours were computed from, or why there are none."""

    system: str
    published: dict[str, float]  # as printed: percent where the paper's table has percent
    ours: dict[str, Any] | None  # as in scores.json
    source: str


def paper_tables() -> dict[str, Any]:
    """The paper's figures, which the package carries with their source."""
    return read_json(assets_dir() / "paper" / "tables.json")


def reproduce(table: str, data: Path | None, runs: Iterable[RunFolder]) -> list[Row]:
    """The rows of one of the paper's tables.

    Args:
        data: a folder with the table's published replies: ``human.ref.6k.txt`` (reddit6k), or ``references.jsonl`` and
            ``replies.jsonl`` of the DSTC7 human-evaluation release (dstc7).
        runs: complete runs, of which those of the paper's models on this table's data are rows.

    Raises:
        UserError: unknown table, or a folder without the files.
    """
    if table not in TABLES:
        raise UserError(f"unknown table {table!r} (known: {', '.join(TABLES)})")
    published = paper_tables()["tables"][table]["rows"]
    found = _from_runs(table, runs)
    if table == "reddit6k":
        found |= _reddit6k_human(data) if data else {}
    rows = [
        Row(system, figures, *found.get(system, (None, _why_missing(table, system, data))))
        for system, figures in published.items()
    ]
    return rows + (_dstc7_release(data) if table == "dstc7" and data else [])


def to_table(rows: list[Row]) -> Table:
    """Three lines a system: published, ours, difference."""
    headings = ("System", *(column.heading for column in PAPER_COLUMNS))
    lines: list[tuple[str, ...]] = []
    for row in rows:
        lines.append((row.system, *(_shown(row.published.get(c.name), c.decimals) for c in PAPER_COLUMNS)))
        if row.ours is None:
            continue
        ours = {c.name: _scaled(row.ours, c.name, c.factor) for c in PAPER_COLUMNS}
        lines.append(("  measured here", *(_shown(ours[c.name], c.decimals) for c in PAPER_COLUMNS)))
        differences = []
        for column in PAPER_COLUMNS:
            theirs, mine = row.published.get(column.name), ours[column.name]
            both = theirs is not None and mine is not None
            differences.append(f"{mine - theirs:+.{column.decimals}f}" if both else "–")
        lines.append(("  difference", *differences))
    return Table(headings, tuple(lines))


def human_evaluation() -> Table:
    """The paper's pairwise human judgments with what they can bear: share of decided judgments, interval, sign test.

    The interval is Wilson's, 95%; the p-value that of the two-sided sign test without ties. Three judges saw each
    example, so that judgments are not independent: the true uncertainty is larger.
    """
    rows = []
    for entry in paper_tables()["human_evaluation"]["rows"]:
        wins, losses = entry["wins"], entry["losses"]
        low, high = wilson(wins, wins + losses)
        rows.append(
            (
                f"{entry['question']}: {entry['a']} vs {entry['b']}",
                str(wins),
                str(entry["ties"]),
                str(losses),
                f"{100 * wins / (wins + losses):.1f}% [{100 * low:.1f}, {100 * high:.1f}]",
                f"{sign_test(wins, losses):.2g}",
            )
        )
    return Table(("Question", "A wins", "ties", "B wins", "A preferred (95%)", "p"), tuple(rows))


def wilson(successes: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927)."""
    share, z2 = successes / n, z * z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * (share * (1 - share) / n + z2 / (4 * n * n)) ** 0.5
    return centre - half, centre + half


def sign_test(wins: int, losses: int) -> float:
    """Two-sided exact p-value of a fair coin: twice the smaller tail, at most 1."""
    import math

    n, k = wins + losses, min(wins, losses)
    logs = [math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) - n * math.log(2) for i in range(k + 1)]
    return min(1.0, 2 * math.fsum(map(math.exp, logs)))


def _from_runs(table: str, runs: Iterable[RunFolder]) -> dict[str, tuple[dict[str, Any], str]]:
    import yaml

    found = {}
    for folder in runs:
        scores = folder.scores() if folder.is_complete() else None
        if scores is None or scores["protocol"]["name"] != table:
            continue
        config = yaml.safe_load((folder.path / "config.yaml").read_text(encoding="utf-8"))
        if config["dataset"]["kind"] != table or config["dataset"]["limit"] is not None:
            continue
        decoding = config["decoding"]
        what = "mmi" if decoding["rerank"] == "mmi" else decoding["strategy"]
        for system, wanted in GENERATED.items():
            if (config["model"]["path"], what, decoding["num_beams"]) == wanted:
                found[system] = (scores, f"run {folder.path.name}")
    return found


def _reddit6k_human(data: Path) -> dict[str, tuple[dict[str, Any], str]]:
    from dialoeval.metrics import score

    file = data / "human.ref.6k.txt"
    if not file.is_file():
        raise UserError(f"{data} has no human.ref.6k.txt (the DialoGPT repository publishes it)")
    replies = [line for _, line in read_lines(file)]
    scoring = ScoringConfig(meteor=False, resamples=0)
    scores = score(replies, [[] for _ in replies], group("protocol", "reddit6k"), scoring).to_json()
    return {"Human": (scores, f"{file.name}: {len(replies)} replies; its references are not public")}


def _dstc7_release(data: Path) -> list[Row]:
    """Rows of every system whose replies the folder has, beside the organisers' figures for the full test set."""
    from dialoeval.metrics import score

    replies_file, references_file = data / "replies.jsonl", data / "references.jsonl"
    for file in (replies_file, references_file):
        if not file.is_file():
            raise UserError(f"{data} has no {file.name}")
    references = {row["id"]: row["references"] for _, row in read_jsonl(references_file)}
    systems: dict[str, dict[str, str]] = {}
    for number, row in read_jsonl(replies_file):
        if not {"system", "id", "reply"} <= row.keys():
            raise UserError(f'{replies_file}, line {number}: needs "system", "id" and "reply"')
        systems.setdefault(row["system"], {})[row["id"]] = row["reply"]
    official = paper_tables()["dstc7_organisers"]
    same_text = read_json(data / "official.json") if (data / "official.json").is_file() else {}
    rows = []
    for system, replies in systems.items():
        ids = sorted(name for name in replies if name in references)
        scores = score(
            [replies[name] for name in ids],
            [references[name] for name in ids],
            group("protocol", "dstc7"),
            ScoringConfig(resamples=0),
            progress=True,
        ).to_json()
        if system in same_text:
            published, against = same_text[system], "official.json, the official tools on the same replies"
        else:
            published = official["systems"].get(_organisers_name(system), {})
            against = f"the organisers' scores of all {official['contexts']} contexts"
        note = f"{replies_file.name}, {len(ids)} contexts; published: {against}"
        rows.append(Row(f"{system} (released replies)", _as_printed(published), scores, note))
    return rows


def _organisers_name(system: str) -> str:
    return ORGANISERS.get(system, f"{system}-Primary")


def _as_printed(figures: dict[str, float]) -> dict[str, float]:
    renamed = {name.replace("div", "distinct"): value for name, value in figures.items()}
    return {c.name: renamed[c.name] * c.factor for c in PAPER_COLUMNS if c.name in renamed}


def _why_missing(table: str, system: str, data: Path | None) -> str:
    if system in GENERATED:
        return f"no complete run of {GENERATED[system][0]} ({GENERATED[system][1]}) on {table}: needs its weights and the data"
    if table == "reddit6k" and data is None:
        return "no --data folder with human.ref.6k.txt"
    return "its replies to the whole test set are not public"


def _scaled(scores: dict[str, Any], name: str, factor: float) -> float | None:
    value = figure(scores, name)
    return None if value is None else value * factor


def _shown(value: float | None, decimals: int) -> str:
    return "–" if value is None else f"{value:.{decimals}f}"
