"""Any dataset of the hub, or a local folder in its format, through `datasets`, with a column mapping."""

from __future__ import annotations

from collections.abc import Iterator

from dialoeval.config import DatasetConfig
from dialoeval.data.example import Dataset
from dialoeval.data.records import Row, build
from dialoeval.errors import UserError


def load(config: DatasetConfig) -> Dataset:
    """Examples of ``dataset.path`` (hub name or folder), ``dataset.subset``, ``dataset.split``, at any revision.

    Raises:
        UserError: no name, not reachable, no such split or column, or a set that needs a script.
    """
    if not config.path:
        raise UserError("dataset=hub needs dataset.path=NAME, the dataset's name on the hub or a folder")
    return build(config, _rows(config))


def _rows(config: DatasetConfig) -> Iterator[Row]:
    import datasets
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
    try:
        loaded = datasets.load_dataset(config.path, config.subset, split=config.split, revision=config.revision)
    except RuntimeError as error:
        if "scripts are no longer supported" not in str(error):
            raise UserError(f"cannot load the dataset {config.path}: {_line(error)}") from error
        raise UserError(
            f"{config.path} is a dataset made by a script, which `datasets` no longer runs: try "
            "dataset.revision=refs/convert/parquet, or another copy of the data"
        ) from error
    except (ValueError, KeyError) as error:
        raise UserError(f"cannot load the dataset {config.path}: {_line(error)}") from error
    except (OSError, ConnectionError, datasets.exceptions.DatasetsError) as error:
        raise UserError(
            f"cannot load the dataset {config.path}: not found, or the hub cannot be reached ({_line(error)}). "
            "A dataset that needs no hub: dataset=chitchat"
        ) from error
    for number, row in enumerate(loaded, 1):
        yield f"{config.path} [{config.split}], row {number}", dict(row)


def _line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]
