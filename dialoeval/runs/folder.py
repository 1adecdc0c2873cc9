"""A run's folder: named files, a manifest that says whether they are complete, and recovery of a run in progress."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from dialoeval.data.example import Example, fingerprint
from dialoeval.data.rows import read_reference_rows
from dialoeval.errors import UserError
from dialoeval.files import dumps, json_object, read_json, read_jsonl, sha256_file, write_json, write_jsonl
from dialoeval.metrics.scores import Scores
from dialoeval.runs.records import SCHEMA, Environment, Manifest, Precision, ReplyRow, RunSettings, Status, is_number

_LOG = logging.getLogger(__name__)
_SCORE_AGAIN = "delete it and run again (replies are kept)"


class RunFolder:
    """Reading and writing one run folder. Every file is written atomically; the manifest last."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.manifest_file = self.path / "manifest.json"
        self.settings_file = self.path / "config.yaml"
        self.replies_file = self.path / "replies.jsonl"
        self.partial_file = self.path / "replies.partial.jsonl"
        self.reused_file = self.path / "reused.json"
        self.answers_file = self.path / "answers.partial.jsonl"
        self.references_file = self.path / "references.jsonl"
        self.scores_file = self.path / "scores.json"
        self.segments_file = self.path / "segments.jsonl"
        self.precision_file = self.path / "precision.json"
        self.environment_file = self.path / "environment.json"
        self.report_file = self.path / "report.md"
        self.prompts_file = self.path / "prompts.jsonl"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder: a second process waits, and says so.

        Raises:
            UserError: the folder cannot be created or written.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self.path / ".lock")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                _LOG.info("waiting for another process that works on %s", self.path)
                lock.acquire()
        except (OSError, NotImplementedError) as error:
            raise UserError(f"cannot use the run folder {self.path}: {error}") from error
        try:
            yield
        finally:
            lock.release()

    def manifest(self) -> Manifest | None:
        """Return the manifest, or None if the file does not exist.

        Raises:
            UserError: it is damaged, or of another schema version; nothing is changed.
        """
        if not self.manifest_file.exists():
            return None
        return Manifest.from_json(read_json(self.manifest_file), str(self.manifest_file))

    def existing_manifest(self) -> Manifest:
        """Return the manifest of a folder that must have one.

        Raises:
            UserError: the folder has none, or as `manifest`.
        """
        manifest = self.manifest()
        if manifest is None:
            raise UserError(f"{self.path} is not a run folder: it has no manifest.json")
        return manifest

    def is_complete(self) -> bool:
        """Return whether the manifest says so; then the replies are those it names.

        Raises:
            UserError: the manifest is damaged, or the replies were changed since.
        """
        manifest = self.manifest()
        if manifest is None or manifest.status != Status.complete:
            return False
        hashes = {self.replies_file: manifest.replies_sha256, self.references_file: manifest.references_sha256}
        for file, sha256 in hashes.items():
            if not file.is_file() or sha256_file(file) != sha256:
                raise UserError(
                    f"{file} does not match the manifest: it was changed, damaged or removed; restore it, or move "
                    "the folder away to start afresh"
                )
        return True

    def check_identity(self, identity: dict[str, Any]) -> None:
        """Make sure that the folder is this run's or nobody's.

        Raises:
            UserError: the manifest is damaged, of another schema, or of another run.
        """
        manifest = self.manifest()
        if manifest is not None and manifest.identity != json.loads(dumps(identity)):
            raise UserError(
                f"{self.path} holds another run than its name says (was it copied or changed?): move it away"
            )

    def write_manifest(self, manifest: Manifest) -> None:
        """Write the manifest; with status complete, it vouches for the files beside it."""
        write_json(self.manifest_file, manifest.to_json())

    def finished(self, known: set[str]) -> dict[str, ReplyRow]:
        """Return {id: reply} of an earlier, interrupted attempt; a half-written last line is cut off the file.

        Raises:
            UserError: a line that has its end is damaged.
        """
        if not self.partial_file.exists():
            return {}
        try:
            content = self.partial_file.read_bytes()
            whole = content[: content.rfind(b"\n") + 1]
            if len(whole) != len(content):
                with open(self.partial_file, "r+b") as stream:
                    stream.truncate(len(whole))
        except OSError as error:
            raise UserError(f"cannot read {self.partial_file}: {error.strerror or error}") from error
        rows: dict[str, ReplyRow] = {}
        for number, line in enumerate(whole.split(b"\n")[:-1], 1):
            where = f"{self.partial_file}, line {number}: damaged"
            try:
                row = ReplyRow.from_json(json_object(line, where), where)
            except UserError as error:
                raise UserError(f"{error}; delete this file to start the run afresh") from error
            if row.id in known:
                rows[row.id] = row
        return rows

    def has_finished_replies(self) -> bool:
        """Return whether an attempt, finished or not, has left replies."""
        files = (self.partial_file, self.answers_file, self.replies_file)
        return any(file.is_file() and file.stat().st_size > 0 for file in files)

    def append(self, rows: Iterable[ReplyRow]) -> None:
        """Add a finished chunk to the partial file, in one write, and flush it to the disk.

        Raises:
            UserError: the disk is full or read-only. What was finished before stays.
        """
        data = "".join(dumps(row.to_json()) + "\n" for row in rows).encode("utf-8")
        try:
            with open(self.partial_file, "ab") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise UserError(f"cannot write {self.partial_file}: {error.strerror or error}") from error

    def write_references(self, examples: Iterable[Example]) -> None:
        """Write the references, in the dataset's order, and the human replies that it holds apart from them."""
        write_jsonl(
            self.references_file,
            (
                {"id": e.id, "references": list(e.references)} | ({} if e.human is None else {"human": e.human})
                for e in examples
            ),
        )

    def write_replies(self, rows: Iterable[ReplyRow]) -> None:
        """Write replies.jsonl, in the dataset's order."""
        write_jsonl(self.replies_file, (row.to_json() for row in rows))

    def replies(self) -> list[ReplyRow]:
        """Return the rows of replies.jsonl.

        Raises:
            UserError: naming line and field of what is malformed.
        """
        file = str(self.replies_file)
        return [ReplyRow.from_json(row, f"{file}, line {number}") for number, row in read_jsonl(file)]

    def references(self) -> dict[str, list[str]]:
        """Return {id: references}.

        Raises:
            UserError: naming line and field of what is malformed.
        """
        return {row.key: list(row.references) for row in read_reference_rows(self.references_file, strict=True)}

    def human_replies(self) -> dict[str, str]:
        """Return {id: the human reply that the data hold apart from the references}; often empty.

        Raises:
            UserError: naming line and field of what is malformed.
        """
        rows = read_reference_rows(self.references_file, strict=True)
        return {row.key: row.human for row in rows if row.human is not None}

    def data(self) -> str:
        """Return the fingerprint of the examples that the replies are scored against; runs that share it compare.

        That of the run's identity, but for the human baseline: the reference that the protocol holds out is the reply
        there, and so a part of the identity, and yet the examples are those of the other runs.

        Raises:
            UserError: a file of the run is damaged.
        """
        identity = str(self.existing_manifest().identity.get("dataset", ""))
        settings = self.settings() if self.settings_file.is_file() else None
        if settings is None or settings.baseline != "human" or settings.protocol.get("held_out") is None:
            return identity
        references = self.references()
        return fingerprint([Example(row.id, row.context, tuple(references[row.id])) for row in self.replies()])

    def scores(self) -> Scores | None:
        """Return what scores.json holds, or None if the file does not exist.

        Raises:
            UserError: it is damaged or of another schema.
        """
        if not self.scores_file.exists():
            return None
        scores = read_json(self.scores_file)
        schema = scores.get("schema") if isinstance(scores, dict) else None
        if isinstance(scores, dict) and schema != SCHEMA:
            raise UserError(f"{self.scores_file} has schema {schema!r}, this version reads {SCHEMA}: {_SCORE_AGAIN}")
        try:
            return Scores.from_json(scores)
        except UserError as error:
            raise UserError(f"{self.scores_file}: {error}: {_SCORE_AGAIN}") from error

    def environment(self) -> Environment | None:
        """Return what environment.json holds, or None if the file does not exist.

        Raises:
            UserError: it is damaged.
        """
        if not self.environment_file.is_file():
            return None
        return Environment.from_json(read_json(self.environment_file), str(self.environment_file))

    def precision(self) -> Precision | None:
        """Return what precision.json holds, or None if the file does not exist.

        Raises:
            UserError: it is damaged.
        """
        if not self.precision_file.is_file():
            return None
        value = read_json(self.precision_file)
        try:
            return Precision.from_json(value, str(self.precision_file))
        except UserError as error:
            raise UserError(f"{error}; delete this file and run again (replies are kept)") from error

    def settings(self) -> RunSettings:
        """Return what config.yaml holds.

        Raises:
            UserError: it is missing or damaged, or lacks a section that every run has.
        """
        try:
            text = self.settings_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot read {self.settings_file}: {' '.join(str(error).split())}") from error
        return RunSettings.from_yaml(text, str(self.settings_file))

    def segments(self, ids: Sequence[str]) -> dict[str, list[float | None]]:
        """Return {score: one a reply} of segments.jsonl, as ``nist``; empty if the file does not exist.

        Args:
            ids: of the replies, whose order the scores have; a reply without a score has None.

        Raises:
            UserError: naming what is malformed.
        """
        if not self.segments_file.exists():
            return {}
        by_id = {str(row.get("id")): row for _, row in read_jsonl(self.segments_file)}
        rows = [by_id.get(name, {}) for name in ids]
        names = dict.fromkeys(name for row in rows for name in row if name not in ("id", "length"))
        columns: dict[str, list[float | None]] = {name: [row.get(name) for row in rows] for name in names}
        for name, values in columns.items():
            for row, value in zip(rows, values, strict=True):
                if value is not None and not is_number(value):
                    raise UserError(
                        f'{self.segments_file}, id {row.get("id")!r}: field "{name}" must be a number or null; delete '
                        "the file and run again (replies are kept)"
                    )
        return columns


def find(name: str, reports_dir: str = "reports") -> RunFolder:
    """Return a run by its folder's path, or by a part of a name under `reports_dir` that only one run has.

    Raises:
        UserError: none or several fit.
    """
    path = Path(name)
    if (path / "manifest.json").is_file():
        return RunFolder(path)
    candidates = [folder for folder in Path(reports_dir).glob("*/") if (folder / "manifest.json").is_file()]
    fitting = [folder for folder in candidates if name.rstrip("/") in folder.name]
    exact = [folder for folder in fitting if folder.name == name.rstrip("/")]
    if len(exact or fitting) == 1:
        return RunFolder((exact or fitting)[0])
    if fitting:
        listed = ", ".join(sorted(folder.name for folder in fitting)[:5])
        raise UserError(f"{name!r} matches {len(fitting)} runs in {reports_dir}/: {listed}")
    raise UserError(f"{name} is not a run folder, and no run in {reports_dir}/ has that in its name")
