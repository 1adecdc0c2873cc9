"""METEOR's language data, read from the installed PyPI package `pycocoevalcap` (never imported: only its files)."""

from __future__ import annotations

import gzip
import importlib.metadata
import importlib.util
import zipfile
from collections.abc import Iterator
from pathlib import Path

from dialoeval.errors import UserError

_SPACE = b" \t\n\r\x0c"  # what java.util.StringTokenizer splits at


def version() -> str:
    """Return the installed version of pycocoevalcap, or ``"none"``."""
    try:
        return importlib.metadata.version("pycocoevalcap")
    except importlib.metadata.PackageNotFoundError:
        return "none"


def files() -> tuple[Path, Path]:
    """Return the paths of the METEOR 1.5 jar and of the English paraphrase table.

    Raises:
        UserError: the package or its files are missing.
    """
    spec = importlib.util.find_spec("pycocoevalcap")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("METEOR's language data comes with pycocoevalcap, which is missing: pip install pycocoevalcap")
    folder = Path(next(iter(spec.submodule_search_locations))) / "meteor"
    jar, paraphrases = folder / "meteor-1.5.jar", folder / "data" / "paraphrase-en.gz"
    for path in (jar, paraphrases):
        if not path.is_file():
            raise UserError(f"{path} is missing: pip install --force-reinstall pycocoevalcap=={version()}")
    return jar, paraphrases


def fingerprint() -> str:
    """Return package version and file sizes, which identify a release of the data without reading it."""
    return " ".join([version(), *(str(path.stat().st_size) for path in files())])


class Lexicon:
    """The tables in the jar: function words, non-breaking prefixes, synonym sets and irregular forms of words."""

    def __init__(self, jar: Path) -> None:
        try:
            with zipfile.ZipFile(jar) as archive:
                texts = {
                    name: archive.read(name).decode("utf-8")
                    for name in (
                        "function/english.words",
                        "nonbreaking/english.prefixes",
                        "synonym/english.synsets",
                        "synonym/english.exceptions",
                    )
                }
        except (OSError, zipfile.BadZipFile, KeyError, UnicodeDecodeError) as error:
            raise UserError(f"{jar} is damaged ({error}): reinstall pycocoevalcap") from error
        self.function_words = texts["function/english.words"].rstrip("\n").split("\n")
        # prefix -> whether it only counts before a number
        self.prefixes: dict[str, bool] = {}
        for line in texts["nonbreaking/english.prefixes"].split("\n"):
            fields = line.split()
            if fields and not fields[0].startswith("#"):
                self.prefixes[fields[0]] = fields[1:2] == ["#NUMERIC_ONLY#"]
        # word -> numbers of its WordNet synonym sets: two lines each
        lines = texts["synonym/english.synsets"].rstrip("\n").split("\n")
        self.synonym_sets = {
            word: sorted({int(number) for number in numbers.split()})
            for word, numbers in zip(lines[::2], lines[1::2], strict=True)
        }
        # irregular form -> base forms; the file has a base form and then a line of its irregular forms
        lines = texts["synonym/english.exceptions"].rstrip("\n").split("\n")
        self.base_forms: dict[str, list[str]] = {}
        for base, forms in zip(lines[::2], lines[1::2], strict=True):
            for form in forms.split():
                self.base_forms.setdefault(form, []).append(base)


def paraphrases(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield (phrase, paraphrase) in the file's order: an entry is three lines, a probability (unused) and these two."""
    try:
        with gzip.open(path, "rb") as stream:
            for _probability, phrase, paraphrase in zip(stream, stream, stream, strict=False):
                yield phrase.strip(_SPACE), paraphrase.strip(_SPACE)
    except (OSError, EOFError) as error:
        raise UserError(f"cannot read {path}: {error}") from error
