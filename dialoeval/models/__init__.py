"""Loading models: embedded ones, local folders, hub names, state-dict files."""
