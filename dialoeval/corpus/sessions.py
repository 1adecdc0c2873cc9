"""`dialoeval build sessions`: conversations of months of Reddit dumps."""

from __future__ import annotations

import logging
import resource
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dialoeval.corpus import lists
from dialoeval.corpus.clean import second_pass
from dialoeval.corpus.dumps import COMMENTS, SUBMISSIONS, find_dump
from dialoeval.corpus.month import Month, forget_lists
from dialoeval.corpus.recipe import Recipe
from dialoeval.corpus.workers import cores, open_workers
from dialoeval.errors import UserError
from dialoeval.files import atomic_open, check_writable, read_json, sha256_file, write_json, write_text
from dialoeval.version import __version__

_LOG = logging.getLogger(__name__)
_PART = 8_000_000  # bytes of records of a partition, about; in memory they need some ten times as much
_MOST_PARTS = 512  # open files
# Bytes of records for a byte of a dump: most of a JSON line is not needed
_RECORDS = {".zst": 3.0, ".xz": 3.5, ".bz2": 3.0, ".gz": 2.5}
_RECORDS_PLAIN = 0.5


@dataclass(frozen=True)
class Built:
    """What a build gave.

    Attributes:
        folder: with rows.tsv, skipped.tsv, lines.tsv and manifest.json.
        rows: number of rows.
        skipped: {reason: rows that were left out}.
        lines: {(comments or submissions, reason): lines that were left out}.
        before: whether an earlier call had built it already.
    """

    folder: Path
    rows: int
    skipped: dict[str, int]
    lines: dict[tuple[str, str], int]
    before: bool = False


def build_sessions(
    dumps: str | Path, months: Sequence[str], out: str | Path, recipe: Recipe, *, workers: int = 0, parts: int = 0
) -> Built:
    """Write rows.tsv, skipped.tsv, lines.tsv and manifest.json of conversations.

    Killed at any moment, the same call goes on, and ends with the same bytes, whatever `workers` and `parts` are.

    Args:
        dumps: folder with RC_MONTH and RS_MONTH files.
        months: YYYY-MM, in order.
        out: folder for the result.
        recipe: how rows are made.
        workers: processes; 0: one for each core.
        parts: partitions of a month; 0: by the size of the largest.

    Raises:
        UserError: a dump or list is missing or damaged, or `out` holds something else.
    """
    out = Path(out)
    if workers < 0:
        raise UserError(f"workers={workers}: expected a number of processes")
    pairs = [(find_dump(dumps, SUBMISSIONS, month), find_dump(dumps, COMMENTS, month)) for month in months]
    check_writable(out / "rows.tsv")
    forget_lists()
    _allow_open_files(1024)
    plan = _plan(months, pairs, recipe)
    with _locked(out):
        for left in out.glob(".*.tmp"):  # of a call that was killed
            left.unlink()
        if (out / "manifest.json").exists():
            manifest = read_json(out / "manifest.json")
            if _without_hashes(manifest) != plan:
                raise UserError(f"{out} holds another build, {_difference(manifest, plan)}: choose another --out")
            shutil.rmtree(out / ".build", ignore_errors=True)
            return _built(out, manifest, before=True)
        units = _units(out, months, pairs, recipe, _begin(out, plan, parts or _partitions(pairs)))
        try:
            with open_workers(workers or cores()) as pool:
                for unit in units:
                    unit.build(pool)
            manifest = _finish(out, units, plan)
        except OSError as error:
            raise UserError(f"cannot write {out}: {error.strerror or error}") from error
        shutil.rmtree(out / ".build", ignore_errors=True)
    return _built(out, manifest)


def _allow_open_files(number: int) -> None:
    """Raise this process's limit of open files to a number, as far as the system lets it (macOS begins with 256)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < number:
        most = number if hard == resource.RLIM_INFINITY else min(number, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _units(out: Path, months: Sequence[str], pairs: list[tuple[Path, Path]], recipe: Recipe, parts: int) -> list[Month]:
    folders = [out / ".build" / month for month in months]
    earlier = [tuple(folders[:i]) if recipe.scope == "all" else () for i in range(len(months))]
    return [
        Month(month, folder, rc, rs, before, recipe, parts)
        for month, folder, (rs, rc), before in zip(months, folders, pairs, earlier, strict=True)
    ]


def _partitions(pairs: list[tuple[Path, Path]]) -> int:
    """Return the number of partitions by the size of the largest dump of comments."""
    size = max(rc.stat().st_size * _RECORDS.get(rc.suffix, _RECORDS_PLAIN) for _, rc in pairs)
    return min(_MOST_PARTS, 1 + int(size) // _PART)


def _plan(months: Sequence[str], pairs: list[tuple[Path, Path]], recipe: Recipe) -> dict[str, Any]:
    """Return what decides the result, as the manifest begins."""
    named = {name: getattr(recipe, name) for name in ("words", "subreddits", "keys", "discard")}
    hashed: dict[str, Any] = {}
    for name, path in named.items():
        files = {str(lists.list_file(name, path, month)) for month in months} if path else set()
        hashed[name] = [{"file": Path(file).name, "sha256": sha256_file(file)} for file in sorted(files)]
    return {
        "what": "dialoeval build sessions",
        "versions": {"dialoeval": __version__},
        "settings": asdict(recipe) | hashed,
        "months": [
            {"month": month, "inputs": [{"file": path.name, "bytes": path.stat().st_size} for path in pair]}
            for month, pair in zip(months, pairs, strict=True)
        ],
    }


def _without_hashes(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the plan that a manifest begins with."""
    plan = {name: manifest.get(name) for name in ("what", "versions", "settings")}
    months = []
    for month in manifest.get("months", ()):
        inputs = [{"file": one["file"], "bytes": one["bytes"]} for one in month["inputs"]]
        months.append({"month": month["month"], "inputs": inputs})
    return plan | {"months": months}


def _difference(earlier: dict[str, Any], plan: dict[str, Any]) -> str:
    """Return in words how an earlier build differs from what is planned."""
    if earlier.get("versions") != plan["versions"]:
        return f"by dialoeval {(earlier.get('versions') or {}).get('dialoeval', 'of an unknown version')}"
    before = earlier.get("settings") or {}
    if other := [name for name, value in plan["settings"].items() if before.get(name) != value]:
        return f"with {', '.join(f'{name}={_shown(before.get(name))}' for name in other)}"
    months = [one["month"] for one in earlier.get("months", ())]
    if months != [one["month"] for one in plan["months"]]:
        return f"of the months {', '.join(months)} (a finished build is not extended)"
    return "of other dumps of these months"


def _shown(value: Any) -> str:
    """Return the value of a setting as it is given: yes, no, the names of files."""
    if isinstance(value, list):
        return ",".join(one["file"] for one in value) or "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _begin(out: Path, plan: dict[str, Any], parts: int) -> int:
    """Check that an unfinished build is the same one, or note what this one is; return its number of partitions.

    Raises:
        UserError: `out` holds the beginning of a build with other settings or of another version.
    """
    noted = out / ".build" / "plan.json"
    settings = {name: plan[name] for name in ("versions", "settings")}
    if noted.exists():
        earlier = read_json(noted)
        if {name: earlier[name] for name in settings} != settings:
            raise UserError(
                f"{out} holds the beginning of another build, {_difference(earlier, settings)}: choose another --out, "
                f"or remove {noted.parent}"
            )
        _LOG.info("going on with the build in %s", out)
        return int(earlier["parts"])
    write_json(noted, settings | {"parts": parts})
    return parts


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Hold the folder.

    Raises:
        UserError: another process builds in it, or it cannot be written.
    """
    from filelock import FileLock, Timeout

    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / ".lock")
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(f"another process builds in {out}: wait for it, or choose another --out") from error
    except (OSError, NotImplementedError) as error:
        raise UserError(f"cannot use {out}: {error}") from error
    try:
        yield
    finally:
        lock.release()


def _finish(out: Path, units: list[Month], plan: dict[str, Any]) -> dict[str, Any]:
    """Write the rows of all months as one file, the counts, and last the manifest; return the manifest."""
    results = [unit.result() or {} for unit in units]
    skipped: Counter[str] = sum((Counter(result["skipped"]) for result in results), Counter())
    rows = sum(result["rows"] for result in results)
    with atomic_open(out / "rows.tsv", "wb") as stream:
        if units[0].recipe.second_pass:
            dropped = second_pass([unit.rows for unit in units], units[0].recipe, out / ".build", stream)
            skipped += dropped
            rows -= dropped.total()
        else:
            for unit in units:
                with open(unit.rows, "rb") as part:
                    shutil.copyfileobj(part, stream, 1 << 20)
    months = []
    for planned, result in zip(plan["months"], results, strict=True):
        counts = {name: dict(sorted(result[name].items())) for name in ("submissions", "comments", "skipped")}
        if not result["rows"]:
            read = counts["comments"].get("read", 0)
            _LOG.warning(
                "%s has no rows: lines.tsv and skipped.tsv say where its %s comments went",
                planned["month"],
                f"{read:,}",
            )
        months.append({"month": planned["month"], "inputs": result["files"], **counts, "rows": result["rows"]})
    manifest = plan | {
        "months": months,
        "rows": rows,
        "skipped": dict(sorted(skipped.items())),
        "lines": _lines(months),
        "sha256": {"rows.tsv": sha256_file(out / "rows.tsv")},
    }
    write_text(out / "skipped.tsv", "".join(f"{reason}\t{count}\n" for reason, count in manifest["skipped"].items()))
    table = [(kind, reason, count) for kind, counts in manifest["lines"].items() for reason, count in counts.items()]
    write_text(out / "lines.tsv", "".join(f"{kind}\t{reason}\t{count}\n" for kind, reason, count in table))
    write_json(out / "manifest.json", manifest)
    return manifest


def _lines(months: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Return {kind: {reason: lines}} over all months, with the lines `read` and `kept`."""
    sums = {kind: sum((Counter(month[kind]) for month in months), Counter()) for kind in ("comments", "submissions")}
    return {kind: dict(sorted(counts.items())) for kind, counts in sums.items()}


def _built(out: Path, manifest: dict[str, Any], *, before: bool = False) -> Built:
    lines = {(kind, reason): n for kind, counts in manifest["lines"].items() for reason, n in counts.items()}
    return Built(out, manifest["rows"], manifest["skipped"], lines, before)
