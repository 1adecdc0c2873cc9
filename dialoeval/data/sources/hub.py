"""A dataset from the Hugging Face Hub, or a folder in its format, with a column mapping (``dataset.columns``)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from dialoeval.config import DatasetConfig
from dialoeval.data import columns
from dialoeval.data.example import Dataset
from dialoeval.data.formats import TableRow
from dialoeval.errors import UserError, first_line

HAS_SPLITS = True


def load(config: DatasetConfig) -> Dataset:
    """Read the examples of a split; with `limit`, the split is streamed and only its beginning is downloaded.

    Raises:
        UserError: the dataset, configuration, split or column does not exist, the Hub cannot be reached, or the dataset
            needs its loading script.
    """
    return columns.dataset(config, rows(config))


def dialogues(config: DatasetConfig) -> Iterator[tuple[str, ...]]:
    """Yield the dialogues of the split: see `columns.dialogues`."""
    return columns.dialogues(config, rows(config))


def rows(config: DatasetConfig) -> Iterator[TableRow]:
    """Yield the rows of a split in order.

    Raises:
        UserError: as `load`.
    """
    if not config.path:
        raise UserError("dataset.path must be set: add dataset.path=OWNER/NAME, or a folder in the Hub's format")
    with _explained(config):
        for number, value in enumerate(_split(config), 1):
            yield TableRow(f"{config.path} ({config.split}), row {number}", number, value)


def _split(config: DatasetConfig) -> Any:
    import datasets

    datasets.disable_progress_bars()
    return datasets.load_dataset(
        config.path,
        config.subset,
        split=config.split,
        revision=config.revision,
        streaming=config.limit is not None,
    )


@contextlib.contextmanager
def _explained(config: DatasetConfig) -> Iterator[None]:
    """Turn the errors of `datasets` and the Hub into a `UserError` that says what to do."""
    import datasets

    try:
        yield
    except (UserError, GeneratorExit):
        raise
    except RuntimeError as error:
        if "scripts are no longer supported" not in str(error):
            raise UserError(f"cannot read the dataset {config.path}: {first_line(error)}") from error
        raise UserError(
            f"the dataset {config.path} needs its loading script, which is never run; try the Hub's converted copy: "
            "dataset.revision=refs/convert/parquet"
        ) from error
    except datasets.exceptions.DataFilesNotFoundError as error:
        raise UserError(f"the dataset {config.path} has no readable data files") from error
    except datasets.exceptions.DatasetGenerationError as error:
        raise UserError(
            f"the dataset {config.path} has malformed data: {first_line(error.__cause__ or error)}"
        ) from error
    except (datasets.exceptions.DatasetNotFoundError, ConnectionError, OSError) as error:
        raise UserError(
            f"cannot load the dataset {config.path}: it is not a local folder, and the Hub does not have it, cannot be "
            f"reached, or gates it (then set HF_TOKEN): {first_line(error)}"
        ) from error
    except (ValueError, KeyError) as error:
        # Unknown splits and configurations: the library's first line names those that exist.
        raise UserError(f"the dataset {config.path}: {first_line(error)}") from error
    except Exception as error:
        if type(error).__module__.startswith(("datasets", "huggingface_hub", "pyarrow", "httpx")):
            raise UserError(f"cannot read the dataset {config.path}: {first_line(error)}") from error
        raise
