"""Corpora built from raw dumps: Reddit conversations, the 6K multi-reference set and the DSTC7 sets."""
