"""Dataset kinds, one module each, found by name: `load(config) -> Dataset`."""
