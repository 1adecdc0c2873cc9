"""Lookup of extra metrics by name: the modules of `dialoeval.metrics.extra`, then plugins.

A module has ``METRIC``, a subclass of `dialoeval.metrics.base.Metric`. Instead, a plugin's module may have a function
``compute(hypotheses, references, contexts)`` that returns ``{"score": ..., "signature": ...}``. Such a metric has no
interval and no test.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

from dialoeval import plugins
from dialoeval.errors import UserError, nearest
from dialoeval.files import dumps
from dialoeval.metrics import extra, paper
from dialoeval.metrics.base import Metric, MetricStatistics, Value
from dialoeval.metrics.corpus import Corpus, corpus
from dialoeval.metrics.figures import FIGURES, Figure
from dialoeval.metrics.inputs import paired_inputs
from dialoeval.plugins import Plugin


def get(name: str) -> Metric:
    """Return the metric of that name, with an optional argument after a colon: ``perplexity:gpt2``.

    Raises:
        UserError: the name is unknown, the metric takes no argument, or the plugin cannot be imported.
    """
    base, colon, argument = name.partition(":")
    factory = _factory(base)
    return factory(argument if colon else None)


def available() -> dict[str, str]:
    """Return {name: description} of all metrics, the paper's first. Plugins are not imported."""
    described = dict(paper.DESCRIPTIONS)
    for name in _built_in():
        described[name] = _metric_class(_module(name)).description
    for name, offers in plugins.find("metrics").items():
        if name not in described:
            described[name] = " and ".join(f"(from {offer.package.replace('==', ' ')})" for offer in offers)
    return described


def figure(name: str) -> Figure:
    """Return the figure of that name, of any metric.

    For an unknown name, such as that of an uninstalled plugin, return a figure with default format.
    """
    if name in FIGURES:
        return FIGURES[name]
    for metric_name in _metric_names(name):
        try:
            metric = get(metric_name)
        except UserError:
            continue
        for candidate in (*metric.figures, *filter(None, [metric.reply_figure])):
            if candidate.name == name:
                return candidate
    return Figure(name, name, decimals=4, higher_is_better=None)


def metric_of(figure_name: str) -> str:
    """Return the name of the extra metric that has a figure.

    Raises:
        UserError: no metric has the figure.
    """
    problem = UserError(f"no metric has the figure {figure_name!r}")
    for name in _metric_names(figure_name):
        try:
            if any(candidate.name == figure_name for candidate in get(name).figures):
                return name
        except UserError as error:
            problem = error
    raise problem


def columns(metric_name: str) -> tuple[Figure, ...]:
    """Return the figures of a metric that tables show; one of default format if the metric is not installed."""
    try:
        return get(metric_name).columns
    except UserError:
        return (figure(metric_name),)


def figure_names(metric_name: str) -> set[str]:
    """Return the names of a metric's figures; none if the metric is not installed."""
    try:
        return {candidate.name for candidate in get(metric_name).figures}
    except UserError:
        return set()


def _metric_names(figure_name: str) -> list[str]:
    """Return the metrics that a figure may belong to, the likeliest first.

    A further figure is ``<metric>.<part>``; but an argument of a metric may contain dots too.
    """
    base = figure_name.rpartition(".")[0]
    return [base, figure_name] if base else [figure_name]


def reply_figure(name: str) -> Figure:
    """Return the figure of a column of reply scores in segments.jsonl."""
    for metric in paper.metrics():
        if metric.reply_figure is not None and metric.reply_figure.name == name:
            return metric.reply_figure
    return figure(name)


def compute(
    name: str,
    hypotheses: Iterable[str],
    references: Iterable[Iterable[str]],
    contexts: Iterable[Iterable[str]] | None = None,
) -> dict[str, Any]:
    """Compute one extra metric on the text as given, with all references. Returns ``{"score", "signature", ...}``.

    Raises:
        UserError: the name is unknown, or a package, model or data file that the metric needs is missing.
    """
    metric = get(name)
    texts, lists = paired_inputs(hypotheses, references)
    uncleaned = replace(corpus(texts, lists, contexts=contexts), references=lists)
    return result(metric, uncleaned, metric.statistics(uncleaned))


def result(metric: Metric, corpus: Corpus, statistics: MetricStatistics) -> dict[str, Any]:
    """Return the entry of an extra metric in scores.json: score, further figures, details, signature."""
    values = {name: float(array[0]) for name, array in statistics.figures().items()}
    finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
    parts = {f.name.removeprefix(f"{metric.name}."): finite.get(f.name) for f in metric.figures[1:]}
    (signature,) = metric.signatures(corpus).values()
    return {"score": finite.get(metric.figures[0].name), **parts, **statistics.details(), "signature": signature}


def _built_in() -> list[str]:
    return sorted(m.name for m in pkgutil.iter_modules(extra.__path__) if not m.name.startswith("_"))


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{extra.__name__}.{name}")


_RESERVED = {*paper.DESCRIPTIONS, "diversity", *FIGURES}


def _factory(name: str) -> Callable[[str | None], Metric]:
    """Return the function from a metric's argument to the metric."""
    if name in _RESERVED:
        raise UserError(f"{name} is one of the paper's metrics, which are computed anyway: name further metrics only")
    if name in _built_in():
        return _metric_class(_module(name))
    if (plugin := plugins.get("metrics", name)) is not None:
        return lambda argument: _from_plugin(plugin, argument)
    known = sorted({*_built_in(), *plugins.find("metrics")})
    raise UserError(f"unknown metric {name!r}{nearest(name, known)} (`dialoeval list metrics` lists them)")


def _metric_class(module: ModuleType) -> type[Metric]:
    metric: type[Metric] = module.METRIC
    return metric


def _from_plugin(plugin: Plugin, argument: str | None) -> Metric:
    target = plugin.load()
    if isinstance(target, ModuleType):
        target = getattr(target, "METRIC", None) or _FunctionMetric.of(plugin, target)
    if not (callable(target) and (not isinstance(target, type) or issubclass(target, Metric))):
        raise UserError(f"the plugin {plugin.name!r} of {plugin.package} is not a Metric class: see docs/plugins.md")
    metric: Metric = target(argument)
    if metric.name.partition(":")[0] != plugin.name:
        raise UserError(
            f"the plugin {plugin.name!r} of {plugin.package} is the metric {metric.name!r}: the two names must be equal"
        )
    metric.package = plugin.package
    return metric


class _FunctionMetric(Metric):
    """A metric computed by a plugin's function ``compute(hypotheses, references, contexts)``."""

    description = "a function of a plugin"

    def __init__(self, name: str, compute: Callable[..., Any], argument: str | None) -> None:
        self.name, self.figures, self.compute = name, (Figure(name, name, decimals=4, higher_is_better=None),), compute
        super().__init__(argument)

    @classmethod
    def of(cls, plugin: Plugin, module: ModuleType) -> Callable[[str | None], Metric]:
        """Return a factory for the module's function.

        Raises:
            UserError: the module has neither ``METRIC`` nor ``compute``.
        """
        function = getattr(module, "compute", None)
        if not callable(function):
            raise UserError(f"the plugin {plugin.name!r} of {plugin.package} has neither METRIC nor compute")
        return lambda argument: cls(plugin.name, function, argument)

    @property
    def reply_figure(self) -> None:
        return None

    def statistics(self, corpus: Corpus, *, progress: bool = False) -> Value:
        answer = self.compute(corpus.hypotheses, corpus.references, corpus.contexts)
        if not isinstance(answer, dict) or "score" not in answer:
            raise UserError(f"the metric {self.name} returned {type(answer).__name__}, not a dict with a score")
        details = dict(answer)
        score = details.pop("score")
        self._signature = str(details.pop("signature", self.name))
        try:
            dumps(details)
            return Value({} if score is None else {self.name: float(score)}, details)
        except (TypeError, ValueError) as error:
            raise UserError(f"the metric {self.name} returned what is not a number, or not JSON: {error}") from error

    def signature(self, corpus: Corpus) -> str:
        return self._signature


__all__: Sequence[str] = ("available", "columns", "compute", "figure", "get", "metric_of", "reply_figure", "result")
