"""Signatures: what a figure was computed with, in sacrebleu's `key:value|...` style."""

from __future__ import annotations

from dialoeval import __version__
from dialoeval.config import ProtocolConfig


def references_key(counts: list[int]) -> str:
    """How many references a reply was scored against: one number, or ``var`` with the range."""
    if not counts:
        return "0"
    return str(counts[0]) if len(set(counts)) == 1 else f"var{min(counts)}-{max(counts)}"


def signatures(protocol: ProtocolConfig, reference_counts: list[int], meteor: bool) -> dict[str, str]:
    """The signature of each of the paper's metrics."""
    common = f"protocol:{protocol.name}|clean:{protocol.clean}"
    relevance = f"{common}|refs:{references_key(reference_counts)}|slots:{protocol.slots or 'all'}"
    mteval = f"{relevance}|case:ascii-lc|tok:mteval-v14|empty:{protocol.empty_word or 'none'}"
    version = f"version:dialoeval-{__version__}"
    words = f"{common}|case:{'lc' if protocol.clean == 'dstc7' else 'mixed'}|tok:split|{version}"
    made = {
        "nist": f"{mteval}|info:all-refs|{version}",
        "bleu": f"{mteval}|smooth:mteval-exp|eff:cumulative|{version}",
        "entropy": f"{words}|log:e",
        "distinct": words,
        "avg_len": words,
    }
    if meteor:
        from dialoeval.metrics.meteor15 import signature

        made["meteor"] = f"{relevance}|{signature()}|{version}"
    return made
