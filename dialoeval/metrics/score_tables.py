"""Tables of scores in the paper's layout, with a column for each extra metric."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from dialoeval.files import sha256_json
from dialoeval.metrics import registry
from dialoeval.metrics.figures import Figure
from dialoeval.metrics.protocol import signed_name
from dialoeval.metrics.scores import Scores, protocol_json
from dialoeval.tables import Cell, Heading, Table


def score_table(
    rows: Iterable[tuple[str, Scores]],
    *,
    intervals: bool = False,
    figures: Sequence[Figure] | None = None,
    ranked: bool = True,
    unranked: Collection[str] = (),
) -> Table:
    """Return a table with a row for each system.

    Args:
        rows: (name, scores) of each system.
        intervals: print half the width of the 95% interval after each figure.
        figures: the columns; None: those of `columns`.
        ranked: whether all systems are on the same data, so that a column has a best figure; scores of several
            protocols or numbers of replies never have.
        unranked: names of systems that are never the best: floors, and the human reply.
    """
    systems = list(rows)
    if figures is None:
        figures = columns([scores for _, scores in systems])
    ranked = ranked and len({(scores.n, sha256_json(protocol_json(scores.protocol))) for _, scores in systems}) < 2
    headings = [Heading("System", "system"), *(figure.column for figure in figures)]
    if not ranked:
        headings = [Heading(heading, heading.name) for heading in headings]
    lines: list[tuple[str | Cell, ...]] = [
        (name, *(score_cell(scores, figure, intervals) for figure in figures)) for name, scores in systems
    ]
    apart = tuple(i for i, (name, _) in enumerate(systems) if name in unranked)
    remarks = tuple(_changed_files([scores for _, scores in systems]))
    return Table(tuple(headings), tuple(lines), remarks, _caption(systems, intervals, ranked), apart)


def _caption(systems: Sequence[tuple[str, Scores]], intervals: bool, ranked: bool) -> str:
    """Return what LaTeX writes above the table."""
    if not systems:
        return ""
    sizes = " or ".join(dict.fromkeys(f"{scores.n:,}" for _, scores in systems))
    protocols = " or ".join(dict.fromkeys(signed_name(scores.protocol) for _, scores in systems))
    several = len(systems) > 1
    best = " Best figures in bold." if ranked else " On different data or protocols: not to be compared."
    return (
        f"Scores of {sizes} replies{' each' if several else ''}, protocol {protocols}.{best if several else ''}"
        f"{' Below the figures: 95% bootstrap intervals.' if intervals else ''}"
    )


def data_title(dataset: Any, fingerprint: Any, scores: Scores) -> str:
    """Return what figures must share to be ranked together: the data and their fingerprint, and the protocol.

    A protocol of shipped settings is told by its name alone, a changed one by all its settings.
    """
    protocol = signed_name(scores.protocol)
    if protocol != scores.protocol.name:
        protocol += "(" + ", ".join(f"{k}={x}" for k, x in protocol_json(scores.protocol).items() if k != "name") + ")"
    return f"{dataset}: {scores.n:,} examples, protocol {protocol}, data {str(fingerprint)[:12]}"


def _changed_files(systems: Sequence[Scores]) -> Iterator[str]:
    """Yield a sentence for each extra metric whose argument named other contents for one system than for another."""
    for name in dict.fromkeys(name for scores in systems for name in scores.extra if ":" in name):
        mine = [scores for scores in systems if name in scores.extra]
        signatures = {scores.extra[name].signature for scores in mine}
        hashes = {((scores.settings or {}).get("files") or {}).get(name) for scores in mine} - {None}
        if len(signatures) > 1 or len(hashes) > 1:
            heading, named = registry.columns(name)[0].heading, name.partition(":")[2]
            yield f"{heading}: not comparable, since {named} was not the same file or model for all rows"


def columns(systems: Iterable[Scores]) -> tuple[Figure, ...]:
    """Return the paper's columns, then the extra metrics of all systems in order of appearance."""
    from dialoeval.metrics.figures import PAPER_TABLE

    shown = {figure.name: figure for figure in PAPER_TABLE}
    for scores in systems:
        shown |= {figure.name: figure for figure in scores.columns()}
    return tuple(shown.values())


def score_cell(scores: Scores, figure: Figure, intervals: bool = True) -> Cell:
    """Return a figure as a cell, with its interval, or with the reason why it is missing."""
    return scores.cell(figure, intervals)
