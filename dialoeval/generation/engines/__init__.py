"""Engines: ways to run a model. One module (or package) an engine, found by its name."""
