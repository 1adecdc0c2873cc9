"""Talking to a model: each reply is the one that a run gives for the same context, seed and settings."""
