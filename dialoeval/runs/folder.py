"""A run's folder: named files, a manifest that says whether they are complete, and recovery of a run in progress."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dialoeval.data.example import Example
from dialoeval.errors import UserError
from dialoeval.files import dumps, read_json, read_jsonl, sha256_file, sha256_json, write_json, write_jsonl
from dialoeval.metrics.scores import Scores
from dialoeval.runs.checks import precision_fault, references_fault, reply_fault
from dialoeval.version import __version__

SCHEMA = 1
STATUSES = ("running", "complete", "failed")
_SCORE_AGAIN = "delete it and run again (replies are kept)"


class RunFolder:
    """Reading and writing one run folder. Every file is written atomically; the manifest last."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.manifest_file = self.path / "manifest.json"
        self.replies_file = self.path / "replies.jsonl"
        self.partial_file = self.path / "replies.partial.jsonl"
        self.references_file = self.path / "references.jsonl"
        self.scores_file = self.path / "scores.json"
        self.segments_file = self.path / "segments.jsonl"
        self.precision_file = self.path / "precision.json"
        self.environment_file = self.path / "environment.json"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder: a second process waits, and says so.

        Raises:
            UserError: the folder cannot be made or written.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self.path / ".lock")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                print(f"waiting for another process that works on {self.path}", file=sys.stderr, flush=True)
                lock.acquire()
        except (OSError, NotImplementedError) as error:
            raise UserError(f"cannot use the run folder {self.path}: {error}") from error
        try:
            yield
        finally:
            lock.release()

    def manifest(self) -> dict[str, Any] | None:
        """The manifest, or None in a folder without one.

        Raises:
            UserError: it is damaged, or of another schema version; nothing is changed.
        """
        if not self.manifest_file.exists():
            return None
        manifest = read_json(self.manifest_file)
        if not isinstance(manifest, dict) or not isinstance(manifest.get("identity"), dict):
            raise UserError(f"{self.manifest_file} is not a run's manifest; move the folder away to start afresh")
        if manifest.get("schema") != SCHEMA:
            raise UserError(
                f"{self.manifest_file} has schema {manifest.get('schema')!r}, this version reads {SCHEMA}: use the "
                "dialoeval that wrote it, or move the folder away"
            )
        if manifest.get("status") not in STATUSES:
            raise UserError(f"{self.manifest_file}: field status is {manifest.get('status')!r}, not one of {STATUSES}")
        return manifest

    def is_complete(self) -> bool:
        """Whether the manifest says so and the replies are those it names.

        Raises:
            UserError: the manifest is damaged, or the replies were changed since.
        """
        manifest = self.manifest()
        if manifest is None or manifest["status"] != "complete":
            return False
        for file in (self.replies_file, self.references_file):
            named = manifest.get(f"{file.stem}_sha256")
            if not file.is_file() or sha256_file(file) != named:
                raise UserError(
                    f"{file} is not what the manifest names: changed, damaged or removed since it was made; put it "
                    f"back, or move the folder away to start afresh"
                )
        return True

    def check_identity(self, identity: dict[str, Any]) -> None:
        """Make sure that the folder is this run's or nobody's.

        Raises:
            UserError: the manifest is damaged, of another schema, or of another run.
        """
        manifest = self.manifest()
        if manifest is not None and manifest["identity"] != json.loads(dumps(identity)):
            raise UserError(
                f"{self.path} holds another run than its name says (was it copied or edited?): move it away"
            )

    def write_manifest(self, status: str, identity: dict[str, Any], **more: Any) -> None:
        """Write the manifest; with status complete, it vouches for the files that are there."""
        write_json(
            self.manifest_file,
            {
                "schema": SCHEMA,
                "status": status,
                "identity": identity,
                "identity_sha256": sha256_json(identity),
                "created_with": f"dialoeval {__version__}",
                **more,
            },
        )

    def finished(self, known: set[str]) -> dict[str, dict[str, Any]]:
        """Replies of an earlier, interrupted attempt: {id: row}. A half-written last line is cut off the file.

        Raises:
            UserError: a line that has its end is damaged.
        """
        if not self.partial_file.exists():
            return {}
        try:
            raw = self.partial_file.read_bytes()
            whole = raw[: raw.rfind(b"\n") + 1]
            if len(whole) != len(raw):
                with open(self.partial_file, "r+b") as stream:
                    stream.truncate(len(whole))
        except OSError as error:
            raise UserError(f"cannot read {self.partial_file}: {error.strerror or error}") from error
        rows: dict[str, dict[str, Any]] = {}
        for number, line in enumerate(whole.split(b"\n")[:-1], 1):
            try:
                row = json.loads(line)
                fault = reply_fault(row)
            except (ValueError, RecursionError) as error:
                fault = f"not JSON: {error}"
            if fault:
                raise UserError(
                    f"{self.partial_file}, line {number}: damaged: {fault}; delete this file to start the run afresh"
                )
            if row["id"] in known:
                rows[row["id"]] = row
        return rows

    def append(self, rows: Iterable[dict[str, Any]]) -> None:
        """Add a finished chunk to the partial file, in one write, and see it on the disk.

        Raises:
            UserError: the disk is full or read-only. What was finished before stays.
        """
        data = "".join(dumps(row) + "\n" for row in rows).encode("utf-8")
        try:
            with open(self.partial_file, "ab") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise UserError(f"cannot write {self.partial_file}: {error.strerror or error}") from error

    def write_references(self, examples: Iterable[Example]) -> None:
        """Write the references, in the dataset's order."""
        write_jsonl(self.references_file, ({"id": e.id, "references": list(e.references)} for e in examples))

    def replies(self) -> list[dict[str, Any]]:
        """The rows of replies.jsonl.

        Raises:
            UserError: naming line and field of what is malformed.
        """
        rows = []
        for number, row in read_jsonl(self.replies_file):
            if fault := reply_fault(row):
                raise UserError(f"{self.replies_file}, line {number}: {fault}")
            rows.append(row)
        return rows

    def references(self) -> dict[str, list[str]]:
        """{id: references}.

        Raises:
            UserError: naming line and field of what is malformed.
        """
        found = {}
        for number, row in read_jsonl(self.references_file):
            if fault := references_fault(row):
                raise UserError(f"{self.references_file}, line {number}: {fault}")
            found[row["id"]] = row["references"]
        return found

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

    def environment(self) -> dict[str, Any]:
        """What environment.json holds; empty where it is absent.

        Raises:
            UserError: it is damaged.
        """
        found = read_json(self.environment_file) if self.environment_file.is_file() else {}
        return found if isinstance(found, dict) else {}

    def precision(self) -> dict[str, Any] | None:
        """What precision.json holds: how many sampled replies float32 gives otherwise. None where it is absent.

        Raises:
            UserError: it is damaged.
        """
        if not self.precision_file.is_file():
            return None
        found = read_json(self.precision_file)
        if fault := precision_fault(found):
            raise UserError(f"{self.precision_file}: {fault}; move the folder away to make the run afresh")
        return found

    def segments(self) -> dict[str, dict[str, Any]]:
        """{id: segment scores}; empty where they were not written."""
        if not self.segments_file.exists():
            return {}
        return {str(row.get("id")): row for _, row in read_jsonl(self.segments_file)}


def find(name: str, reports_dir: str = "reports") -> RunFolder:
    """A run by its folder's path, or by a part of a name under `reports_dir` that only one run has.

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
        raise UserError(f"{name!r} fits {len(fitting)} runs in {reports_dir}/: {listed}")
    raise UserError(f"{name} is not a run folder, and no run in {reports_dir}/ has that in its name")
