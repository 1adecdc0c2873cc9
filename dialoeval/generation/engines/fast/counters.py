"""The engine's counters, which add up over processes."""

from __future__ import annotations

from collections import Counter
from typing import Any


class Counters:
    """Sums by name (seconds per phase, tokens, padding, rows) and the peak memory in bytes."""

    def __init__(self) -> None:
        self.sums: Counter[str] = Counter()
        self.peak_bytes = 0

    def add(self, **amounts: float) -> None:
        """Add to counters by name."""
        self.sums.update(amounts)

    def merge(self, other: Counters) -> None:
        """Add another process's counters."""
        self.sums.update(other.sums)
        self.peak_bytes = max(self.peak_bytes, other.peak_bytes)

    def summary(self) -> dict[str, Any]:
        """Return the counters and their ratios; seconds are summed over processes."""
        sums = self.sums
        padded = sums["prompt_tokens"] + sums["padding_tokens"]
        seconds = ("prefill_seconds", "decode_seconds", "score_seconds")
        return {
            "replies": int(sums["replies"]),
            "reply_tokens": int(sums["reply_tokens"]),
            "prompt_tokens": int(sums["prompt_tokens"]),
            "scored_pairs": int(sums["scored_pairs"]),
            **{name: round(float(sums[name]), 3) for name in seconds},
            "steps": int(sums["steps"]),
            "padding_share": round(sums["padding_tokens"] / padded, 4) if padded else 0.0,
            "slot_use": round(sums["step_rows"] / sums["step_room"], 4) if sums["step_room"] else 0.0,
            "out_of_memory_retries": int(sums["out_of_memory_retries"]),
            "peak_memory_bytes": self.peak_bytes,
        }
