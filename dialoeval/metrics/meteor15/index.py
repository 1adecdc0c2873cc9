"""The index of METEOR's language data: compiled once into the user's cache, then memory-mapped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dialoeval import paths
from dialoeval.errors import UserError
from dialoeval.files import check_writable
from dialoeval.metrics.meteor15 import index_build, index_file, machine_code, source
from dialoeval.metrics.meteor15.layout import Phrases, Synonyms, Vocabulary


@dataclass(frozen=True)
class Index:
    """Memory-mapped tables, the compiled loops that read them, and the small lists that Python needs.

    Attributes:
        prefixes: abbreviation -> whether it only counts before a number.
    """

    vocabulary: Vocabulary
    synonyms: Synonyms
    phrases: Phrases
    function_words: frozenset[str]
    prefixes: dict[str, bool]
    kernels: machine_code.Kernels


_open: dict[tuple[Path, str], Index] = {}


def folder() -> Path:
    """Return the cache folder of this format of the index."""
    return paths.cache_dir() / f"meteor-{index_file.FORMAT}"


def load(*, progress: bool = False) -> Index:
    """Return the index; build it first unless the cache has an intact one of this version, which takes up to a minute.

    Args:
        progress: show a progress bar on stderr while it is built.

    Raises:
        UserError: pycocoevalcap is missing or damaged, or the cache cannot be written.
    """
    key = (folder(), source.fingerprint())
    if key not in _open:
        path, fingerprint = key[0] / "english.index", key[1]
        tables = index_file.read(path, fingerprint)
        if tables is None or not machine_code.is_ready(path.parent):
            tables = _build(path, fingerprint, progress)
        _open[key] = Index(
            tables.vocabulary,
            tables.synonyms,
            tables.phrases,
            frozenset(tables.function_words),
            tables.prefixes,
            machine_code.load(path.parent),
        )
    return _open[key]


def check() -> None:
    """Check that the index can be loaded or built, without doing so.

    Raises:
        UserError: pycocoevalcap is missing, or there is no index and the cache cannot be written.
    """
    source.files()
    path = folder() / "english.index"
    if not path.is_file():
        check_writable(path)


def _build(path: Path, fingerprint: str, progress: bool) -> index_file.Tables:
    import filelock

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(path.with_suffix(".lock")):
            kernels = machine_code.load(path.parent)
            tables = index_file.read(path, fingerprint)  # another process may have built it in the meantime
            if tables is None:
                index_file.write(path, fingerprint, index_build.build(kernels, progress=progress))
                tables = index_file.read(path, fingerprint)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(
            f"cannot build METEOR's index in {path.parent}: {reason}; DIALOEVAL_CACHE names another cache folder"
        ) from error
    if tables is None:
        raise UserError(f"METEOR's index was written to {path} but reads back damaged: check the disk")
    return tables
