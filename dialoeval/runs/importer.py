"""Replies of other toolkits as complete runs, which tables, comparisons and pages read like any other."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from dialoeval.config import ProtocolConfig, ScoringConfig
from dialoeval.data import scoring_files
from dialoeval.data.example import Example, fingerprint
from dialoeval.data.scoring_files import Reading, Samples, ScoredSystem, ScoringFiles
from dialoeval.errors import UserError
from dialoeval.files import sha256_file, sha256_json, write_json, write_jsonl, write_text
from dialoeval.metrics.scores import Scores, protocol_json, score_statistics
from dialoeval.metrics.system_statistics import checked_metrics, statistics
from dialoeval.runs.environment import code_revision, versions
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.identity import named_folder
from dialoeval.runs.records import Environment, Manifest, ReplyRow, Status
from dialoeval.runs.run_page import write_page
from dialoeval.version import __version__

ENGINE = "imported"  # also the name of the decoding, which is unknown


@dataclass(frozen=True)
class ImportSettings:
    """How replies become runs.

    Attributes:
        protocol: reference slots and cleaning.
        scoring: metrics and intervals.
        reading: how the files are read.
        name: of the system; None: its own, or that of its file.
        dataset: name of the data; None: that of the first file of references.
        reports_dir: folder of the run folders.
    """

    protocol: ProtocolConfig
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    reading: Reading = field(default_factory=Reading)
    name: str | None = None
    dataset: str | None = None
    reports_dir: str = "reports"


@dataclass(frozen=True)
class ImportedRun:
    """A run of replies that were made elsewhere.

    Attributes:
        name: of the system.
        dataset: name of the data.
        examples: what was replied to, in the order of the references.
        rows: the replies, in that order.
        source_sha256: of the bytes of the file of replies.
        counts: of what was left out.
    """

    name: str
    dataset: str
    examples: list[Example]
    rows: list[ReplyRow]
    source_sha256: str
    counts: dict[str, int]

    @property
    def identity(self) -> dict[str, Any]:
        """What the run is: the texts of the replies, and the data. Names and file formats do not count."""
        replies_sha256 = sha256_json([[row.id, row.reply] for row in self.rows])
        return {
            "generator": {"engine": ENGINE, "replies_sha256": replies_sha256},
            "dataset": fingerprint(self.examples),
        }


def import_replies(
    replies: Sequence[str], references: Sequence[str], contexts: str | None, settings: ImportSettings
) -> list[tuple[RunFolder, Scores]]:
    """Write one run folder for each system of the files of replies, and score it.

    The same files find their folder again; under another protocol or with other metrics, only the scores change.

    Args:
        replies: files, as of ``dialoeval score``.
        references: files, as of ``dialoeval score``; their order is that of the run.
        contexts: file of the turns before each reply; None: those in the files of replies, if they have any.
        settings: protocol, scoring, reading and names.

    Raises:
        UserError: a file cannot be read or told, ids do not match, or a folder cannot be written.
    """
    checked_metrics(settings.scoring.meteor, settings.scoring.extra)
    if settings.reading.samples == Samples.mean:
        raise UserError("a run has one reply an example: import several samples with --samples systems")
    files = scoring_files.read(replies, references, settings.reading)
    if settings.name is not None and len(files.systems) > 1:
        raise UserError(f"--name {settings.name}: the files hold {len(files.systems)} systems, which have names")
    turns = None
    if contexts is not None:
        turns = scoring_files.read_contexts(contexts, files.references, settings.reading.fields)
    dataset = settings.dataset or scoring_files.stem(references[0])
    return [
        _write(_imported(settings.name or name, dataset, system, files, turns, settings), settings)
        for name, system in files.systems.items()
    ]


def _imported(
    name: str,
    dataset: str,
    system: ScoredSystem,
    files: ScoringFiles,
    turns: Sequence[tuple[str, ...]] | None,
    settings: ImportSettings,
) -> ImportedRun:
    """Return the run of one system, in the order of the references."""
    rows, skipped = files.references, system.skipped + files.skipped
    texts = scoring_files.match(system.samples[0], rows, settings.reading.skip_bad, skipped)
    places = {row.id: place for place, row in enumerate(rows)}
    by_id = set(texts.ids) <= places.keys()
    if turns is not None and not by_id and len(turns) != len(texts.ids):
        raise UserError(f"{len(turns)} contexts, but {len(texts.ids)} replies")
    made = []
    for number, key in enumerate(texts.ids):
        given = texts.contexts[number] if texts.contexts else ()
        context = given if turns is None else turns[places[key] if by_id else number]
        human = rows[places.get(key, number)].human
        example = Example(key, context, tuple(texts.references[number]), human=human)
        reply = ReplyRow(key, context, texts.replies[number], 0, None, ENGINE, 0)
        made.append((places.get(key, number), example, reply))
    made.sort(key=lambda entry: entry[0])
    counts = {
        "replies_left_out": texts.without_entry,
        "references_without_reply": texts.without_reply,
        "skipped_lines": skipped,
        **files.counts,
    }
    examples, replies = [entry[1] for entry in made], [entry[2] for entry in made]
    return ImportedRun(name, dataset, examples, replies, system.sha256, counts)


def _write(run: ImportedRun, settings: ImportSettings) -> tuple[RunFolder, Scores]:
    """Write the folder of a run unless it exists, then its scores unless it has them."""
    identity = run.identity
    folder = RunFolder(Path(settings.reports_dir) / named_folder((run.name, ENGINE, run.dataset), identity))
    with folder.lock():
        folder.check_identity(identity)
        complete = folder.is_complete()
        if not complete:
            folder.write_manifest(Manifest(Status.running, identity, len(run.examples)))
            folder.write_references(run.examples)
            folder.write_replies(run.rows)
            write_json(folder.environment_file, _environment(run).to_json())
        scores = _score(run, folder, settings)
        if not complete:
            hashes = (sha256_file(folder.replies_file), sha256_file(folder.references_file))
            folder.write_manifest(Manifest(Status.complete, identity, len(run.examples), *hashes))
    return folder, scores


def _score(run: ImportedRun, folder: RunFolder, settings: ImportSettings) -> Scores:
    """Score the replies, unless the folder has these scores. scores.json vouches for what is beside it: it is last."""
    scored = {"protocol": protocol_json(settings.protocol), "scoring": asdict(settings.scoring)}
    replies_sha256, earlier = sha256_file(folder.replies_file), folder.scores()
    files = (folder.segments_file, folder.settings_file, folder.report_file)
    if (
        earlier
        and (earlier.settings, earlier.replies_sha256, earlier.version) == (scored, replies_sha256, __version__)
        and all(file.is_file() for file in files)
    ):
        return earlier
    stats = statistics(
        [row.reply for row in run.rows],
        [example.references for example in run.examples],
        settings.protocol,
        meteor=settings.scoring.meteor,
        extra=settings.scoring.extra,
        contexts=[row.context for row in run.rows] if any(row.context for row in run.rows) else None,
        progress=sys.stderr.isatty(),
    )
    scores = score_statistics(stats, settings.scoring).with_counts(**run.counts)
    scores = replace(scores, settings=scored, replies_sha256=replies_sha256)
    write_jsonl(folder.segments_file, stats.segments([row.id for row in run.rows]).rows())
    write_text(folder.settings_file, _yaml(run, scored))
    references = {example.id: example.references for example in run.examples}
    lines = f"- replies: imported\n- SHA-256 of their file: {run.source_sha256}\n- protocol: {settings.protocol.name}\n"
    write_page(folder, (f"{run.name} {ENGINE}", run.dataset), lines, scores, run.rows, references)
    write_json(folder.scores_file, scores.to_json())
    return scores


def _yaml(run: ImportedRun, scored: dict[str, Any]) -> str:
    """Return config.yaml: what is known of the run."""
    import yaml

    sections = {
        "model": {"name": run.name, "path": None},
        "decoding": {"name": ENGINE},
        "dataset": {"name": run.dataset, "kind": ENGINE},
        "engine": {"name": ENGINE},
        "seed": None,
        **scored,
    }
    return str(yaml.safe_dump(sections, sort_keys=False, allow_unicode=True))


def _environment(run: ImportedRun) -> Environment:
    return Environment(
        dialoeval=__version__,
        code_revision=code_revision(),
        packages=versions(),
        generator={"engine": ENGINE, "file_sha256": run.source_sha256},
        dataset=run.dataset,
        examples=len(run.examples),
        generated_now=0,
    )
