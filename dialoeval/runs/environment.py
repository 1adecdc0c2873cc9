"""What a run was made with: the one file of a run folder that differs between two equal runs."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from dialoeval.config import RunConfig
from dialoeval.data.example import Dataset
from dialoeval.version import __version__

PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "datasets",
    "sacrebleu",
    "nltk",
    "numpy",
    "hydra-core",
    "pycocoevalcap",
)


def environment(
    config: RunConfig, generator: dict[str, Any], dataset: Dataset, generated: int, seconds: float
) -> dict[str, Any]:
    """Versions, device, precision, engine and its accounting, seed, time and memory."""
    return {
        "schema": 1,
        "dialoeval": __version__,
        "code_revision": code_revision(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions(),
        "generator": generator,
        "seed": config.seed,
        "dataset": {
            "name": dataset.name,
            "examples": len(dataset.examples),
            "skipped": [list(s) for s in dataset.skipped],
        },
        "generated_now": generated,
        "seconds": round(seconds, 3),
        "replies_per_second": round(generated / seconds, 3) if seconds > 0 else None,
        "peak_memory_mb": round(peak_memory_mb(), 1),
    }


def summary(made_with: dict[str, Any]) -> str:
    """One line of a log: the rates, and the engine's accounting as far as it keeps one."""
    count, seconds = made_with["generated_now"], made_with["seconds"]
    counts = made_with["generator"].get("accounting", {})
    tokens = counts.get("reply_tokens", counts.get("generated_tokens"))
    parts = [f"{count} replies in {seconds:.1f} s"]
    if seconds > 0:
        parts[0] += f" ({count / seconds:.1f}/s" + (f", {tokens / seconds:.0f} tokens/s)" if tokens else ")")
    for name in ("load", "prefill", "decode", "generate", "score"):
        if counts.get(f"{name}_seconds"):
            parts.append(f"{name} {counts[f'{name}_seconds']:.1f} s")
    if reranking := made_with["generator"].get("reranker", {}).get("accounting", {}).get("score_seconds"):
        parts.append(f"rerank {reranking:.1f} s")
    for name, words in (("padding_share", "padding"), ("slot_use", "slots in use")):
        if name in counts:
            parts.append(f"{words} {counts[name]:.0%}")
    if counts.get("out_of_memory_retries"):
        parts.append(f"{counts['out_of_memory_retries']} retries for want of memory")
    parts.append(f"peak memory {max(made_with['peak_memory_mb'], counts.get('peak_memory_bytes', 0) / 2**20):.0f} MiB")
    return f"{made_with['generator'].get('engine', 'engine')}: {', '.join(parts)}"


def versions() -> dict[str, str | None]:
    """Versions of the packages that figures and replies depend on; None where one is not installed."""
    found: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def code_revision() -> str | None:
    """The git commit of a checkout, with ``+changes`` where files differ; None outside one."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10)
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def peak_memory_mb() -> float:
    """Peak resident memory of this process, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
