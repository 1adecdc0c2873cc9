"""The command line: one verb a module, which parses, calls and prints."""
