"""Runs: one folder each, named from what decides its replies, that survives being killed."""
