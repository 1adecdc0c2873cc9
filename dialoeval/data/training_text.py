"""The text that a model was trained on, as data to look test examples and replies up in; it may be large."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from dialoeval import data
from dialoeval.config import DatasetConfig
from dialoeval.config.compose import compose
from dialoeval.config.groups import find_option, group_options
from dialoeval.errors import UserError, nearest


class TrainingText:
    """Dialogues that are read once, one after the other, as training reads them.

    Attributes:
        name: as the user wrote it.
        config: of the dataset.
        dialogues: number that was read.
        turns: number that was read.
        sha256: hash of the turns that were read, in order.
    """

    def __init__(self, name: str, config: DatasetConfig) -> None:
        self.name, self.config = name, config
        self.dialogues = self.turns = 0
        self.sha256 = ""

    def read(self) -> Iterator[tuple[str, ...]]:
        """Yield the turns of each dialogue, all of them, and keep count.

        Raises:
            UserError: the data cannot be read, or has no text.
        """
        digest = hashlib.sha256()
        self.dialogues = self.turns = 0
        words = False
        for turns in data.iter_dialogues(self.config):
            self.dialogues += 1
            self.turns += len(turns)
            for turn in turns:
                digest.update(turn.encode("utf-8", "surrogatepass") + b"\0")
                words = words or bool(turn.strip())
            digest.update(b"\1")
            yield turns
        if not words:
            raise UserError(f"the training data {self.name} has no text: nothing could be found in it")
        self.sha256 = digest.hexdigest()


def dataset_overrides(name: str) -> list[str]:
    """Return the settings that choose a dataset: an option of conf/dataset/, a file, or ``OPTION:PATH``.

    Args:
        name: what the user wrote; a file whose name is an option's is written with its folder.

    Raises:
        UserError: there is no such option and no such file.
    """
    options = group_options("dataset")
    first, colon, path = name.partition(":")
    if name in options:
        return [f"dataset={name}"]
    if Path(name).expanduser().exists():
        return ["dataset=file", _path(name)]
    if colon and find_option("dataset", first) is not None:
        return [f"dataset={first}", _path(path)]
    raise UserError(
        f"{name!r} is neither a dataset{nearest(name, options)} nor a file (a file that needs a preset is written "
        "PRESET:FILE, such as dialogpt_tsv:train.tsv; `dialoeval list datasets` lists the presets)"
    )


def training_text(name: str, overrides: Sequence[str] = ()) -> TrainingText:
    """Return the training text that a name stands for. All of it is read, unless limited.

    Args:
        name: see `dataset_overrides`.
        overrides: further settings, such as ``dataset.split=train``.

    Raises:
        UserError: as `dataset_overrides`, or a setting is wrong.
    """
    unlimited = [] if any(text.startswith("dataset.limit=") for text in overrides) else ["dataset.limit=null"]
    config = compose("config", [*dataset_overrides(name), *overrides, *unlimited])
    return TrainingText(name, config.dataset)


def _path(path: str) -> str:
    quoted = path.replace("\\", "\\\\").replace("'", "\\'")
    return f"dataset.path='{quoted}'"
