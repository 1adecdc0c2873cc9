"""Figures of runs in the forms that people share: model cards and evaluation results of the Hub, a citation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from dialoeval.errors import UserError
from dialoeval.metrics import registry
from dialoeval.metrics.figures import Figure
from dialoeval.metrics.protocol import signed_name
from dialoeval.runs.reader import LoadedRun

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCardData

SOURCE = "dialoeval"


def model_card(runs: Sequence[LoadedRun], name: str | None = None, card: str = "") -> str:
    """Return a model card with the runs' figures in its ``model-index`` block.

    A result of the same run settings and dataset that an earlier call wrote is replaced. All else in the card stays:
    its other results, its other fields and its text.

    Args:
        runs: one model's, on one dataset or several.
        name: of the model in the card; None: the runs' own name of it.
        card: text of the card so far, which may be empty.

    Raises:
        UserError: the runs are of several models and no name is given, two runs would give the same results, or the
            block at the head of the card is damaged.
    """
    import yaml
    from huggingface_hub import ModelCard

    names = list(dict.fromkeys(str(run.settings.model["name"]) for run in runs))
    if name is None and len(names) > 1:
        raise UserError(f"a model card is of one model, and these runs are of {', '.join(names)}: give --name")
    results = [result for run in runs for result in _results(run)]
    keys = [_key(result) for result in results]
    if len(set(keys)) < len(keys):
        raise UserError("two of these runs have the same decoding, dataset and protocol: a card can hold one of them")
    try:
        # without a block there is nothing to parse, and huggingface_hub warns of it
        page = ModelCard(card if card.lstrip().startswith("---") else f"---\n{{}}\n---\n{card}")
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"the block at the head of the model card is damaged: {' '.join(str(error).split())}"
        ) from error
    data = cast("ModelCardData", page.data)
    kept = [result for result in data.eval_results or [] if _key(result) not in set(keys)]
    data.eval_results = [*kept, *results]
    data.model_name = name or data.model_name or names[0]
    return str(page)


def evaluation_results(run: LoadedRun, dataset_id: str, figures: Sequence[str] = (), task: str | None = None) -> str:
    """Return figures as the Hub's file of evaluation results, ``.eval_results/NAME.yaml``.

    Args:
        run: complete.
        dataset_id: ``owner/name`` of the dataset on the Hub that holds the benchmark.
        figures: which; none: all of the paper's table that the run has.
        task: name of the task in the benchmark, where there is one figure; None: the name of each figure.

    Raises:
        UserError: a figure is unknown or missing, or one task is given for several figures.
    """
    import yaml
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    if dataset_id.count("/") != 1 or not all(dataset_id.split("/")):
        raise UserError(f"--dataset-id {dataset_id}: give the dataset's name on the Hub, owner/name")
    chosen = [_figure(run, figure) for figure in figures] or _present(run)
    if task is not None and len(chosen) != 1:
        raise UserError(f"--task-id names one task, and there are {len(chosen)} figures: choose one by --figures")
    entries = [
        EvalResultEntry(
            dataset_id=dataset_id,
            task_id=task or figure.name,
            value=_value(run, figure),
            notes=citation(run, figure.name),
        )
        for figure in chosen
    ]
    return yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False, allow_unicode=True, width=10**6)


def citation(run: LoadedRun, name: str) -> str:
    """Return a figure in one line: value, 95% interval, number of replies, settings, signature, version.

    Raises:
        UserError: the figure is unknown or missing.
    """
    figure = _figure(run, name)
    cell = run.scores.cell(figure)
    interval = "no interval" if cell.low is None or cell.high is None else "95% bootstrap interval"
    low_high = (
        ""
        if cell.low is None or cell.high is None
        else f" [{cell.low:.{figure.decimals}f}, {cell.high:.{figure.decimals}f}]"
    )
    replies = f"{run.scores.n:,} replies of {run.settings.name} on {run.settings.dataset['name']}"
    made = f"{run.scores.signature_of(name)}; {SOURCE} {run.scores.version}; run {run.name}"
    return f"{figure.heading} {cell.figure}{low_high} ({interval}; {replies}; {made})"


def _results(run: LoadedRun) -> list[EvalResult]:
    """Return every figure of the tables as a result of the card."""
    from huggingface_hub import EvalResult

    data, scores = run.settings.dataset, run.scores
    on_hub = data.get("kind") == "hub"
    decoding = str(run.settings.decoding["name"])
    results = []
    for figure in _present(run):
        interval = scores.interval(figure.name)
        scale = 100 if figure.percent else 1
        details: dict[str, Any] = {
            "decoding": decoding,
            "unit": "percent" if figure.percent else figure.unit,
            "replies": scores.n,
            "signature": scores.signature_of(figure.name),
            "run": run.name,
            "computed_by": f"{SOURCE} {scores.version}",
        }
        if interval is not None:
            details["interval_95"] = [round(scale * edge, figure.decimals + 2) for edge in interval]
        results.append(
            EvalResult(
                task_type="text-generation",
                task_name="Response generation",
                dataset_type=str(data["path"] if on_hub else data["name"]),
                dataset_name=str(data["name"]),
                dataset_config=data.get("subset"),
                dataset_split=data.get("split") if on_hub else None,
                dataset_revision=data.get("revision"),
                dataset_args={"fingerprint": run.dataset, "protocol": signed_name(scores.protocol)},
                metric_type=figure.name,
                metric_name=f"{figure.heading} ({decoding})",
                metric_value=_value(run, figure),
                metric_args=details,
            )
        )
    return results


def _present(run: LoadedRun) -> list[Figure]:
    return [figure for figure in run.scores.columns() if figure.name in run.scores]


def _value(run: LoadedRun, figure: Figure) -> float:
    """Return a figure in the unit in which tables print it, with two digits more."""
    return round(run.scores[figure.name] * (100 if figure.percent else 1), figure.decimals + 2)


def _figure(run: LoadedRun, name: str) -> Figure:
    run.scores[name]  # raises for an unknown or missing figure
    return registry.figure(name)


def _key(result: EvalResult) -> tuple[str, ...]:
    """Return what tells results apart: the data and its protocol, the decoding, the metric."""
    data, details = result.dataset_args or {}, result.metric_args or {}
    parts = (result.dataset_type, result.dataset_config, result.dataset_split, data, details.get("decoding"))
    return tuple(map(str, (*parts, result.metric_type, result.metric_name)))
