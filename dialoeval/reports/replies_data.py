"""The replies of runs as the data of a page's script."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dialoeval.metrics.registry import reply_figure
from dialoeval.runs.reader import LoadedRun, reply_scores


def embedded(names: Sequence[str], runs: Sequence[LoadedRun]) -> str:
    """Return the replies as compact JSON for the page's script, safe inside a script element.

    ``{"runs": names, "datasets": names, "finish": reasons, "scores": [[heading, decimals], ...], "examples": [[id,
    context, references, dataset], ...], "replies": [run][i]}`` with null or ``[text, reason, words, score...]`` as a
    reply, whose reason is a position in ``finish``: 0 stop, 1 length. One id on different data is two examples.
    """
    positions: dict[tuple[str, str], int] = {}
    first_run = {run.dataset: i for i, run in reversed(list(enumerate(runs)))}
    datasets = sorted(first_run, key=first_run.__getitem__)
    examples: list[list[Any]] = []
    for run in runs:
        for i, name in enumerate(run.ids):
            if (run.dataset, name) not in positions:
                positions[run.dataset, name] = len(examples)
                examples.append([name, run.contexts[i], run.references[i], datasets.index(run.dataset)])
    score_names = reply_scores(runs)
    reasons = list(dict.fromkeys(["stop", "length", *(reason for run in runs for reason in run.finish)]))
    columns = []
    for run in runs:
        replies: list[Any] = [None] * len(examples)
        for i, (example_id, reply) in enumerate(zip(run.ids, run.hypotheses, strict=True)):
            scores = [_rounded(run.segments[name][i]) if name in run.segments else None for name in score_names]
            reason = reasons.index(run.finish[i])
            replies[positions[run.dataset, example_id]] = [reply, reason, len(reply.split()), *scores]
        columns.append(replies)
    labels = [str(runs[first_run[key]].settings.dataset.get("name")) for key in datasets]
    shown = [[figure.heading, 2 if figure.name == "nist" else 3] for figure in map(reply_figure, score_names)]
    values = {
        "runs": names,
        "datasets": labels,
        "finish": reasons,
        "scores": shown,
        "examples": examples,
        "replies": columns,
    }
    compact = json.dumps(values, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return compact.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
