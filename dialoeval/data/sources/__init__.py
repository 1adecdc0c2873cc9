"""Dataset kinds, one module each, named by ``dataset.kind``: see `dialoeval.data.DatasetKind`."""
