"""Scores of a system: figures with intervals, signatures and input warnings; the object of scores.json."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dialoeval.config import ProtocolConfig, ScoringConfig
from dialoeval.data.example import HUMAN_APART
from dialoeval.errors import UserError, nearest
from dialoeval.metrics import paper, registry
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.figures import BLEU, DISTINCT, ENTROPY, FIGURES, NIST, PAPER_TABLE, Figure
from dialoeval.metrics.protocol import signed_name
from dialoeval.metrics.system_statistics import Statistics, statistics
from dialoeval.stats import bootstrap_intervals
from dialoeval.tables import Cell, Table
from dialoeval.text.guards import Finding, check_replies
from dialoeval.version import __version__

if TYPE_CHECKING:
    import pandas

SCHEMA = 1
_FAMILIES = {
    "nist": NIST[:4],
    "bleu": BLEU,
    "entropy": ENTROPY,
    "distinct": DISTINCT,
}  # written as lists to scores.json
_SINGLE = ("meteor", "avg_len", "nist5")


@dataclass(frozen=True)
class ExtraScore:
    """The result of an extra metric.

    Attributes:
        score: the main figure, or None if it is undefined.
        signature: the settings that determine it.
        details: further figures and counts, as JSON values.
    """

    score: float | None
    signature: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return an entry of ``extra`` in scores.json."""
        return {"score": self.score, **self.details, "signature": self.signature}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ExtraScore:
        """Read an entry of ``extra`` in scores.json."""
        details = {key: item for key, item in value.items() if key not in ("score", "signature")}
        return cls(value.get("score"), str(value.get("signature", "")), details)


@dataclass(frozen=True, repr=False)
class Scores:
    """The contents of scores.json.

    Attributes:
        n: number of replies.
        figures: {flat name: value} without undefined figures (no references, METEOR off). BLEU, METEOR and distinct-n
            are fractions.
        intervals: {flat name: (low, high)}, 95% intervals within the figure's range (see `bootstrap_intervals`).
        signatures: {metric: signature} of the paper's metrics.
        protocol: reference slots and cleaning.
        counts: {warning: number of inputs}, such as empty replies.
        resamples: number of bootstrap resamples.
        extra: {name: result} of the extra metrics.
        settings: protocol and scoring settings of a run, as JSON values; None outside of a run.
        replies_sha256: hash of the replies file, or None.
        version: version of dialoeval that computed the scores.
        warnings: what is suspicious about the texts: see `dialoeval.text.guards`.
    """

    n: int
    figures: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    signatures: dict[str, str]
    protocol: ProtocolConfig
    counts: dict[str, int]
    resamples: int
    extra: dict[str, ExtraScore] = field(default_factory=dict)
    settings: dict[str, Any] | None = None
    replies_sha256: str | None = None
    version: str = __version__
    warnings: tuple[Finding, ...] = ()

    @property
    def signature(self) -> str:
        """The signature of NIST, which stands for the paper's metrics in one line."""
        return self.signatures["nist"]

    def __getitem__(self, name: str) -> float:
        """Return a figure by its flat name.

        Raises:
            UserError: the figure is unknown, or missing from these scores.
        """
        if name in self.figures:
            return self.figures[name]
        if not isinstance(name, str):
            raise UserError(f"a figure is named by a string, such as 'bleu4', not by {type(name).__name__}")
        if name in FIGURES:
            raise UserError(f"these scores have no {name}: {self.missing(name)}")
        raise UserError(f"unknown figure {name!r}{nearest(name, self.figures)} (known: {', '.join(self.figures)})")

    def __contains__(self, name: object) -> bool:
        return name in self.figures

    def __iter__(self) -> Iterator[str]:
        return iter(self.figures)

    def get(self, name: str) -> float | None:
        """Return a figure by its flat name, or None if it is missing."""
        return self.figures.get(name)

    def interval(self, name: str) -> tuple[float, float] | None:
        """Return (low, high) of a figure's 95% interval, or None if it has no interval."""
        return self.intervals.get(name)

    def missing(self, name: str) -> str:
        """Return why a figure is missing, or an empty string if it is not."""
        if name in self.figures:
            return ""
        figure = registry.figure(name)
        further = name not in FIGURES and name not in self.extra
        if further and name not in {figure.name for figure in self.columns()}:
            return "not computed"
        if name == "meteor" and self.counts.get("replies_without_meteor"):
            return "no reply can be aligned"
        if name == "meteor" and "nist1" in self.figures:
            return "not computed (scoring.meteor=false)"
        if figure.needs_references:
            return "no reference can be scored" if "nist1" in self.figures else "no reply has a reference"
        return "no replies" if name in FIGURES or not self.n else "no reply can be scored"

    def columns(self) -> tuple[Figure, ...]:
        """Return the columns of tables: the paper's figures, then those of each extra metric, mostly its main one."""
        return (*PAPER_TABLE, *(figure for name in self.extra for figure in registry.columns(name)))

    def cell(self, figure: Figure, intervals: bool = True) -> Cell:
        """Return a figure as a table cell, with its 95% interval, or with the reason why it is missing."""
        interval = self.interval(figure.name) if intervals else None
        return figure.cell(self.get(figure.name), interval, why=self.missing(figure.name))

    def with_counts(self, **counts: int) -> Scores:
        """Return a copy with further counts."""
        return replace(self, counts=self.counts | counts)

    def remarks(self) -> list[str]:
        """Return sentences on what the protocol or METEOR left out, for terminals and reports; often none."""
        remarks = []
        if (place := self.protocol.held_out) is not None:
            left_out = self.counts.get("references_held_out", 0)
            remarks.append(
                f"The protocol {signed_name(self.protocol)} holds out reference {place} of each context (counted from "
                f"0), the human reply: it is no reference of {left_out:,} of {self.n:,} replies."
            )
        if apart := self.counts.get(HUMAN_APART):
            remarks.append(f"The data keep the human reply of {apart:,} contexts apart from their references.")
        if without := self.counts.get("replies_without_meteor"):
            remarks.append(
                f"METEOR leaves out {_replies(without)} with too many possible matches (null in the segments)."
            )
        return remarks

    def to_json(self) -> dict[str, Any]:
        """Return the object of scores.json."""
        families = {name: [self.figures.get(f.name) for f in figures] for name, figures in _FAMILIES.items()}
        return {
            "schema": SCHEMA,
            "n": self.n,
            "nist": families["nist"],
            "bleu": families["bleu"],
            "meteor": self.figures.get("meteor"),
            "entropy": families["entropy"],
            "distinct": families["distinct"],
            "avg_len": self.figures.get("avg_len"),
            "nist5": self.figures.get("nist5"),
            "signature": self.signature,
            "signatures": self.signatures,
            "protocol": protocol_json(self.protocol),
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
            "resamples": self.resamples,
            "counts": self.counts,
            "extra": {name: score.to_json() for name, score in self.extra.items()},
            "version": self.version,
            **({} if self.settings is None else {"settings": self.settings}),
            **({} if self.replies_sha256 is None else {"replies_sha256": self.replies_sha256}),
            **({"warnings": list(map(asdict, self.warnings))} if self.warnings else {}),
        }

    @classmethod
    def from_json(cls, value: Any) -> Scores:
        """Read the object of scores.json.

        Raises:
            UserError: a field is missing or malformed; the message names it.
        """
        if fault := _fault(value):
            raise UserError(fault)
        figures = {f.name: x for name, fs in _FAMILIES.items() for f, x in zip(fs, value[name], strict=True)}
        figures |= {name: value.get(name) for name in _SINGLE}
        extra = {name: ExtraScore.from_json(entry) for name, entry in value["extra"].items()}
        for name, score in extra.items():
            figures[name] = score.score
            parts = registry.figure_names(name) | value["intervals"].keys()
            further = {f"{name}.{key}": x for key, x in score.details.items() if f"{name}.{key}" in parts}
            if wrong := [part for part, x in further.items() if x is not None and not _is_number(x)]:
                raise UserError(f'field "extra.{wrong[0]}" must be a number or null')
            figures |= further
        ordered = {name: figures.pop(name) for name in FIGURES} | figures
        return cls(
            n=value["n"],
            figures={name: float(x) for name, x in ordered.items() if x is not None},
            intervals={name: (low, high) for name, (low, high) in value["intervals"].items()},
            signatures=value["signatures"],
            protocol=_protocol(value.get("protocol")),
            counts=value["counts"],
            resamples=value.get("resamples", 0),
            extra=extra,
            settings=value.get("settings"),
            replies_sha256=value.get("replies_sha256"),
            version=str(value.get("version", "")),
            warnings=tuple(filter(None, map(Finding.from_json, value.get("warnings", [])))),
        )

    def to_frame(self) -> pandas.DataFrame:
        """Return one row per figure: ``value`` (as in JSON), ``low`` and ``high`` (95% interval), ``signature``."""
        import pandas

        rows = {
            name: {
                "value": value,
                "low": (self.interval(name) or (None, None))[0],
                "high": (self.interval(name) or (None, None))[1],
                "signature": self.signature_of(name),
            }
            for name, value in self.figures.items()
        }
        return pandas.DataFrame.from_dict(rows, orient="index")

    def signature_of(self, name: str) -> str:
        """Return the signature of a figure's metric."""
        if name in FIGURES:
            return self.signatures.get(name.rstrip("12345"), "")
        entry = self.extra.get(name) or self.extra.get(name.rpartition(".")[0])
        return entry.signature if entry else ""

    def __repr__(self) -> str:
        shown = ", ".join(f"{f.heading} {f.cell(value).figure}" for f, value in self._shown())
        return f"Scores({self.n} replies, protocol {signed_name(self.protocol)}: {shown})"

    def _repr_html_(self) -> str:
        columns = self.columns()
        cells = (self.cell(figure) for figure in columns)
        return Table(("", *(f.heading for f in columns)), ((f"{self.n} replies", *cells),)).to_html()

    def _shown(self) -> Iterator[tuple[Figure, float]]:
        for figure in self.columns():
            if figure.name in self.figures:
                yield figure, self.figures[figure.name]


def score(
    hypotheses: Iterable[str],
    references: Iterable[Iterable[str]],
    protocol: ProtocolConfig | str | None = None,
    scoring: ScoringConfig | None = None,
    *,
    contexts: Iterable[Iterable[str]] | None = None,
    progress: bool = False,
) -> Scores:
    """Score replies with the paper's metrics and the extra metrics of `scoring`.

    Args:
        hypotheses: n replies: a list, tuple, generator, numpy array or pandas Series of strings.
        references: `references[i]` holds the references of reply i, which may be none.
        protocol: ``"dstc7"``, ``"reddit6k"`` or ``"none"`` (conf/protocol/), or its settings; None: text as given.
        scoring: metrics and bootstrap resamples; None: all of the paper's metrics, 1,000 resamples.
        contexts: the turns before each reply, which a few extra metrics use.
        progress: show progress of slow metrics on stderr.

    Raises:
        UserError: the lengths differ, a metric or protocol is unknown, or a package, model or data file is missing.

    >>> scores = score(["i like it"], [["i like it a lot", "me too"]], scoring=ScoringConfig(meteor=False))
    >>> scores["bleu1"], scores.n
    (1.0, 1)
    """
    scoring = scoring or ScoringConfig()
    stats = statistics(
        hypotheses,
        references,
        protocol_named(protocol),
        meteor=scoring.meteor,
        extra=scoring.extra,
        contexts=contexts,
        progress=progress,
    )
    return score_statistics(stats, scoring)


def protocol_named(protocol: ProtocolConfig | str | None) -> ProtocolConfig:
    """Return the protocol of that name from conf/protocol/, settings as they are, or for None text as given.

    Raises:
        UserError: the name is unknown.
    """
    if not isinstance(protocol, str):
        return protocol or ProtocolConfig(name="none")
    from dialoeval.config.compose import group

    settings: ProtocolConfig = group("protocol", protocol)
    return settings


def score_statistics(stats: Statistics, scoring: ScoringConfig) -> Scores:
    """Return the scores of statistics: figures, intervals, signatures, counts, warnings."""
    extra = [metric for metric in stats.metrics if metric.name in scoring.extra]
    paper_metrics = tuple(metric for metric in stats.metrics if metric not in extra)
    return Scores(
        n=len(stats),
        figures={name: float(x[0]) for name, x in stats.figures().items() if np.isfinite(x[0])},
        intervals=bootstrap_intervals(stats, scoring.resamples, scoring.bootstrap_seed),
        signatures=paper.signatures(paper_metrics, stats.corpus),
        protocol=stats.corpus.protocol,
        counts=_counts(stats),
        resamples=scoring.resamples,
        extra={m.name: ExtraScore.from_json(registry.result(m, stats.corpus, stats.parts[m.name])) for m in extra},
        warnings=findings(stats.corpus),
    )


def findings(corpus: Corpus) -> tuple[Finding, ...]:
    """Return what is suspicious about replies and their examples."""
    # NIST and BLEU are always among the metrics, and mteval's tokenizer is made for languages with spaces
    return check_replies(corpus.hypotheses, corpus.references, corpus.contexts, english_only=True)


def _counts(stats: Statistics) -> dict[str, int]:
    """Return the number of inputs of each degenerate kind; all of them are scored."""
    corpus = stats.corpus
    lengths = [len(words) for words in corpus.words]
    return {
        "empty_replies": lengths.count(0),
        "one_word_replies": lengths.count(1),
        "replies_without_references": int(np.sum(~corpus.judged)),
        "references_held_out": corpus.held_out,
        "replies_without_meteor": len(stats.left_out("meteor")),
        "empty_references": sum(not reference.strip() for refs in corpus.references for reference in refs),
        "references_empty_after_cleaning": sum(
            not reference.split() for refs in corpus.texts.references for reference in set(refs)
        ),
    }


def protocol_json(protocol: ProtocolConfig) -> dict[str, Any]:
    """Return a protocol's settings as JSON values, enumerations as strings."""
    return {key: x if x is None or type(x) in (bool, int, float) else str(x) for key, x in asdict(protocol).items()}


def _protocol(value: Any) -> ProtocolConfig:
    from dialoeval.config.schema import Clean

    try:
        protocol = ProtocolConfig(**{**value, "clean": Clean(value.get("clean", "none"))})
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError('field "protocol" is not a protocol of this version') from error
    texts, numbers = (protocol.name, protocol.empty_word or ""), (protocol.slots, protocol.held_out or 0)
    if not all(isinstance(text, str) for text in texts) or not all(map(_is_whole, numbers)):
        raise UserError('field "protocol" is not a protocol of this version')
    return protocol


def _fault(scores: Any) -> str | None:
    """Return what is wrong with the object of scores.json, or None."""
    if not isinstance(scores, dict):
        return f"expected a JSON object, found {type(scores).__name__}"
    if not _is_whole(scores.get("n")):
        return 'field "n" must be a whole number'
    for name, figures in _FAMILIES.items():
        values = scores.get(name)
        if not isinstance(values, list) or len(values) != len(figures):
            return f'field "{name}" must be a list of {len(figures)} numbers'
        if not all(x is None or _is_number(x) for x in values):
            return f'field "{name}" must be a list of {len(figures)} numbers'
    for name in _SINGLE:
        if not (scores.get(name) is None or _is_number(scores[name])):
            return f'field "{name}" must be a number or null'
    for name in ("intervals", "counts", "signatures", "extra"):
        if not isinstance(scores.get(name), dict):
            return f'field "{name}" must be an object'
    for name, interval in scores["intervals"].items():
        if not (isinstance(interval, list) and len(interval) == 2 and all(map(_is_number, interval))):
            return f'field "intervals.{name}" must be two numbers'
    for name, entry in scores["extra"].items():
        if not isinstance(entry, dict) or not (entry.get("score") is None or _is_number(entry["score"])):
            return f'field "extra.{name}" must be an object with a score'
    warnings = scores.get("warnings", [])
    if not isinstance(warnings, list) or not all(map(Finding.from_json, warnings)):
        return 'field "warnings" must be a list of objects with kind, count, total, message and blocking'
    if not all(_is_whole(count) for count in scores["counts"].values()):
        return 'field "counts" must hold whole numbers'
    if not all(isinstance(text, str) for text in scores["signatures"].values()) or "nist" not in scores["signatures"]:
        return 'field "signatures" must hold strings, that of "nist" among them'
    return None if isinstance(scores.get("signature"), str) else 'field "signature" must be a string'


def _replies(n: int) -> str:
    return "1 reply" if n == 1 else f"{n:,} replies"


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


__all__: Sequence[str] = ("ExtraScore", "Scores", "protocol_json", "protocol_named", "score", "score_statistics")
