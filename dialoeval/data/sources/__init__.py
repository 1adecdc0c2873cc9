"""Dataset kinds, one module each, found by name: see `dialoeval.data.DatasetKind`."""
