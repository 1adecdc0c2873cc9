"""The files that arguments of metrics name: word lists, training data, models. They may change under the same name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dialoeval.files import sha256_file, sha256_json


def named_files(metrics: Iterable[str]) -> dict[str, str]:
    """Return {metric: SHA-256} of the file or folder that the argument of each metric names, if it names one.

    Args:
        metrics: as the user writes them: ``NAME:FILE``, ``NAME:OPTION:FILE``, each with or without ``@LABEL``.
    """
    hashes: dict[str, str] = {}
    for metric in metrics:
        argument = metric.partition(":")[2]
        for text in (argument, argument.partition(":")[2]):
            for name in filter(None, (text, text.rpartition("@")[0])):
                path = Path(name).expanduser()
                if path.is_file():
                    hashes.setdefault(metric, sha256_file(path))
                elif path.is_dir():
                    files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
                    hashes.setdefault(metric, sha256_json([(file.name, sha256_file(file)) for file in files]))
    return hashes
