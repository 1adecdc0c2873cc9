"""report.md: a run on one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dialoeval.config import RunConfig
from dialoeval.config.compose import to_yaml
from dialoeval.files import write_text
from dialoeval.metrics.protocol import signed_name
from dialoeval.metrics.score_tables import score_table
from dialoeval.metrics.scores import Scores
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.made_by import made_by
from dialoeval.runs.records import ReplyRow, RunSettings, system_name
from dialoeval.tables import markdown_text

SAMPLES = 10


def write_report(
    folder: RunFolder,
    config: RunConfig,
    scores: Scores,
    rows: Sequence[ReplyRow],
    references: Mapping[str, Sequence[str]],
) -> None:
    """Write report.md: the paper's columns with intervals, counts, warnings, settings, signatures, ten replies.

    It contains no time and no path: the same run gives the same bytes.
    """
    name = system_name(config.model.name, config.decoding.name, config.model.baseline.kind)
    write_page(folder, (name, config.dataset.name), _settings(config, folder), scores, rows, references)


def write_page(
    folder: RunFolder,
    names: tuple[str, str],
    settings: str,
    scores: Scores,
    rows: Sequence[ReplyRow],
    references: Mapping[str, Sequence[str]],
) -> None:
    """Write report.md of a run.

    Args:
        folder: of the run.
        names: of the run and of its dataset.
        settings: lines of a Markdown list.
        scores: of the replies.
        rows: the replies.
        references: {id: references}.
    """
    name, dataset = names
    parts = [
        f"# {name} on {dataset}\n",
        f"{scores.n} replies. Figures with half the width of their 95% bootstrap interval "
        f"({scores.resamples} resamples of the replies).\n",
        score_table([(name, scores)], intervals=bool(scores.intervals)).to_markdown(),
        _degenerate(scores),
        *_warnings(scores),
        "## Settings\n",
        settings,
        "## Signatures\n",
        "".join(f"- {metric}: `{signature}`\n" for metric, signature in scores.signatures.items()),
    ]
    if scores.extra:
        lines = (f"- {metric}: {result.score} (`{result.signature}`)\n" for metric, result in scores.extra.items())
        parts += ["## Other metrics\n", "".join(lines)]
    parts += ["## Replies\n", *(_sample(row, references) for row in rows[:SAMPLES])]
    write_text(folder.report_file, "\n".join(parts))


def _warnings(scores: Scores) -> list[str]:
    if not scores.warnings:
        return []
    return ["## Warnings\n", "".join(f"- {markdown_text(finding.message)}\n" for finding in scores.warnings)]


def _degenerate(scores: Scores) -> str:
    counted = [f"{value} {key.replace('_', ' ')}" for key, value in scores.counts.items() if value]
    counts = f"Counted: {', '.join(counted)}.\n" if counted else "No degenerate input was met.\n"
    return "\n".join([counts, *(f"{remark}\n" for remark in scores.remarks())])


def _settings(config: RunConfig, folder: RunFolder) -> str:
    settings = RunSettings.from_yaml(to_yaml(config), str(folder.settings_file))
    lines = [
        *map(markdown_text, made_by(settings, folder)),
        *(
            f"decoding.{key}: {value}"
            for key, value in settings.decoding.items()
            if key != "name" and settings.baseline is None
        ),
        f"dataset: {config.dataset.name} ({config.dataset.kind}, split {config.dataset.split}, "
        f"context turns {config.dataset.context_turns or 'all'}, limit {config.dataset.limit or 'none'})",
        f"protocol: {signed_name(config.protocol)}",
        f"seed: {config.seed}",
    ]
    return "".join(f"- {line}\n" for line in lines)


def _sample(row: ReplyRow, references: Mapping[str, Sequence[str]]) -> str:
    turns = "".join(f"> {markdown_text(turn)}  \n" for turn in row.context) or "> (no context)  \n"
    first = next(iter(references.get(row.id, ())), None)
    reference = f"\nreference: {markdown_text(first)}\n" if first is not None else ""
    return f"{turns}\n**{markdown_text(row.reply) or '(empty reply)'}**\n{reference}\n---\n"
