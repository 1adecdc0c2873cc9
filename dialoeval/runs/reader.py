"""Complete runs, read whole: for tables, comparisons, pages and notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dialoeval.errors import UserError
from dialoeval.metrics.figures import FIGURES
from dialoeval.metrics.scores import Scores
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.records import Environment, RunSettings

if TYPE_CHECKING:
    import pandas

_NAMING = ("decoding.", "dataset.", "seed", "engine.dtype", "model.")  # settings that can tell runs of one name apart


@dataclass(frozen=True, repr=False)
class LoadedRun:
    """A complete run of n replies; lists have their order.

    Attributes:
        name: of its folder.
        path: of its folder.
        dataset: fingerprint of its examples.
        ids: (n,) of the examples.
        contexts: (n,) the turns before each reply, oldest first.
        hypotheses: (n,) the replies.
        tokens: (n,) generated tokens, without the end token.
        logprobs: (n,) sums of their natural-log probabilities; None if the engine gave none.
        finish: (n,) why each reply ended, "stop" or "length".
        references: (n,) of each example, in their original order.
        scores: of the set.
        segments: {score: (n,)} of each reply, such as "nist", "bleu", "meteor", "rouge_l"; None if it has none.
        settings: what it was run with.
        environment: versions, device, engine and time; None if the file does not exist.
        human: {id: the human reply that the data hold apart from the references}; often empty.
    """

    name: str
    path: Path
    dataset: str
    ids: list[str]
    contexts: list[list[str]]
    hypotheses: list[str]
    tokens: list[int]
    logprobs: list[float | None]
    finish: list[str]
    references: list[list[str]]
    scores: Scores
    segments: dict[str, list[float | None]]
    settings: RunSettings
    environment: Environment | None = None
    human: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> RunFolder:
        """Its files."""
        return RunFolder(self.path)

    @property
    def replies(self) -> pandas.DataFrame:
        """A row a reply: id, context, reply, references, finish, tokens, logprob, and every score of single replies."""
        import pandas

        columns = {
            "id": self.ids,
            "context": self.contexts,
            "reply": self.hypotheses,
            "references": self.references,
            "finish": self.finish,
            "tokens": self.tokens,
            "logprob": self.logprobs,
        }
        return pandas.DataFrame(columns | self.segments)

    def to_frame(self) -> pandas.DataFrame:
        """Return one row: run, model, dataset, decoding, engine, protocol, n, figures and their ``_low``, ``_high``.

        BLEU, METEOR and distinct-n are fractions; the interval is the 95% one of the bootstrap.
        """
        import pandas

        return pandas.DataFrame([{"run": self.name, **summary_columns(self.scores, self.settings, self.environment)}])

    @property
    def is_unreferenced_human(self) -> bool:
        """Whether it is the human baseline without references: it has figures of its own, and none against others."""
        return self.settings.baseline == "human" and not any(self.references)

    def __repr__(self) -> str:
        return f"LoadedRun({self.name}: {self.scores!r})"

    def _repr_html_(self) -> str:
        from dialoeval.metrics.score_tables import score_table

        return score_table([(self.settings.name, self.scores)], intervals=True).to_html()


def summary_columns(scores: Scores, settings: RunSettings, environment: Environment | None) -> dict[str, Any]:
    """Return what describes a run in one row: see `LoadedRun.to_frame`."""
    columns: dict[str, Any] = {
        "model": settings.model.get("name"),
        "dataset": settings.dataset.get("name"),
        "decoding": settings.decoding.get("name"),
        "engine": (environment and environment.engine) or settings.engine.get("name"),
        "protocol": scores.protocol.name,
        "n": scores.n,
    }
    for name in dict.fromkeys((*FIGURES, *scores.figures)):
        columns[name] = scores.get(name)
        if (interval := scores.interval(name)) is not None:
            columns[f"{name}_low"], columns[f"{name}_high"] = interval
    return columns


def load_run(folder: RunFolder) -> LoadedRun:
    """Read a run.

    Raises:
        UserError: it is not complete, has no scores, or one of its files is damaged.
    """
    again = "run its configuration again"
    manifest = folder.existing_manifest()
    if not folder.is_complete():
        reason = f" ({manifest.error})" if manifest.error else ""
        raise UserError(f"{folder.path} is not complete: {manifest.status}{reason}; {again} to resume it")
    scores = folder.scores()
    if scores is None:
        raise UserError(f"{folder.path} has no scores: {again}, which scores it")
    if scores.replies_sha256 != manifest.replies_sha256:
        raise UserError(f"{folder.scores_file} was computed from other replies than these: {again}, which scores it")
    rows, references = folder.replies(), folder.references()
    absent = [row.id for row in rows if row.id not in references]
    if absent:
        raise UserError(f"{folder.references_file} has no entry for {absent[0]!r} ({len(absent)} in all)")
    ids = [row.id for row in rows]
    return LoadedRun(
        name=folder.path.resolve().name,
        path=folder.path,
        dataset=folder.data(),
        ids=ids,
        contexts=[list(row.context) for row in rows],
        hypotheses=[row.reply for row in rows],
        tokens=[row.tokens for row in rows],
        logprobs=[row.logprob for row in rows],
        finish=[row.finish for row in rows],
        references=[references[name] for name in ids],
        scores=scores,
        segments=folder.segments(ids),
        settings=folder.settings(),
        environment=folder.environment(),
        human=folder.human_replies(),
    )


def beside_each_other(runs: Sequence[LoadedRun]) -> list[LoadedRun]:
    """Return the runs of a page; the human reply without references stands on the data of the runs whose it is."""
    found = []
    for run in runs:
        same = (other for other in runs if (other.ids, other.contexts) == (run.ids, run.contexts))
        found.append(replace(run, dataset=next(same).dataset) if run.is_unreferenced_human else run)
    return found


def short_names(runs: Sequence[LoadedRun]) -> list[str]:
    """Return ``model decoding`` of each run, in a form that no two runs share.

    Runs of one name get the settings that differ between them, or else the hash of the folder's name.
    """
    return distinct_names([run.settings for run in runs], [run.name for run in runs])


def distinct_names(of: Sequence[RunSettings], folders: Sequence[str]) -> list[str]:
    """Return the `short_names` of runs with these settings and folders' names."""
    names = [run.name for run in of]
    settings = [run.flat() for run in of]
    result = []
    for i, name in enumerate(names):
        twins = [j for j, other in enumerate(names) if other == name]
        keys = [key for key in settings[i] if key.startswith(_NAMING)]
        differing = [key for key in keys if len({str(settings[j].get(key)) for j in twins}) > 1]
        shown = " ".join(f"{key.rsplit('.', 1)[-1]}={settings[i][key]}" for key in differing[:3])
        result.append(f"{name} {shown}".rstrip())
    doubled = {name for name in result if result.count(name) > 1}
    return [f"{name} {run[-12:]}" if name in doubled else name for name, run in zip(result, folders, strict=True)]


def reply_scores(runs: Sequence[LoadedRun]) -> list[str]:
    """Return the names of the scores of single replies that any run has: METEOR, NIST and BLEU first."""
    names = [name for run in runs for name in run.segments]
    return list(dict.fromkeys(["meteor", "nist", "bleu", *names]))


def check_comparable(runs: Sequence[LoadedRun]) -> None:
    """Refuse runs on different data, or scored under different protocols.

    Raises:
        UserError: which runs, and how they differ.
    """
    first = runs[0]
    for other in runs[1:]:
        pair = f"{first.name} and {other.name}"
        if difference := _data_difference(first, other):
            raise UserError(f"{pair} are not on the same data: {difference}")
        protocols = (first.scores.protocol, other.scores.protocol)
        if protocols[0] != protocols[1]:
            raise UserError(
                f"{pair} were scored under different protocols ({protocols[0].name} and {protocols[1].name}): run one "
                "again with the other's protocol= (nothing is generated again)"
            )


def _data_difference(a: LoadedRun, b: LoadedRun) -> str:
    """Return how the examples of two runs differ; empty if they are the same."""
    if a.ids != b.ids:
        only_a, only_b = set(a.ids) - set(b.ids), set(b.ids) - set(a.ids)
        if not only_a and not only_b:
            return f"the same {len(a.ids)} ids, in another order"
        lone = next(name for run, only in ((a, only_a), (b, only_b)) for name in run.ids if name in only)
        return (
            f"{len(a.ids)} and {len(b.ids)} examples, of which {len(only_a)} and {len(only_b)} ids are in one run only "
            f"(the first is {lone!r})"
        )
    parts = []
    texts = {"contexts": (a.contexts, b.contexts), "references": (a.references, b.references)}
    for what, (texts_a, texts_b) in texts.items():
        unequal = [i for i, (x, y) in enumerate(zip(texts_a, texts_b, strict=True)) if x != y]
        if unequal:
            parts.append(
                f"the {what} of {len(unequal)} of {len(a.ids)} ids differ (the first is {a.ids[unequal[0]]!r})"
            )
    return "; ".join(parts)
