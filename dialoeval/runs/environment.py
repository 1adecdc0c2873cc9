"""Versions, device, engine and time of a run: environment.json, which alone differs between two equal runs."""

from __future__ import annotations

import contextlib
import platform
import resource
import subprocess
import sys
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from dialoeval.config import RunConfig
from dialoeval.data.example import Dataset
from dialoeval.generation.types import Generator
from dialoeval.runs.records import Environment
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
    config: RunConfig, generator: Generator, dataset: Dataset, generated: int, seconds: float
) -> Environment:
    """Return the environment of a run: versions, device, precision, engine and its accounting, seed, time and memory.

    Args:
        config: of the run.
        generator: that replied.
        dataset: it replied to.
        generated: replies generated now.
        seconds: that it took.
    """
    return Environment(
        dialoeval=__version__,
        code_revision=code_revision(),
        python=platform.python_version(),
        platform=platform.platform(),
        packages=versions(),
        generator=generator.describe().to_json() | {"generation_config_taken": config.decoding.checkpoint},
        seed=config.seed,
        dataset=dataset.name,
        examples=len(dataset.examples),
        skipped=dataset.skipped,
        reading={} if dataset.reading is None else asdict(dataset.reading),
        generated_now=generated,
        seconds=round(seconds, 3),
        replies_per_second=round(generated / seconds, 3) if seconds > 0 else None,
        peak_memory_mb=round(peak_memory_mb(), 1),
    )


def summary(environment: Environment) -> str:
    """Return one line of a log: the rates, and what the engine counted."""
    count, seconds = environment.generated_now or 0, environment.seconds or 0.0
    counts = environment.generator.get("accounting", {})
    tokens = counts.get("reply_tokens", counts.get("generated_tokens"))
    parts = [f"{count} replies in {seconds:.1f} s"]
    if seconds > 0:
        parts[0] += f" ({count / seconds:.1f}/s" + (f", {tokens / seconds:.0f} tokens/s)" if tokens else ")")
    for name in ("load", "prefill", "decode", "generate", "score"):
        if counts.get(f"{name}_seconds"):
            parts.append(f"{name} {counts[f'{name}_seconds']:.1f} s")
    if reranking := environment.generator.get("reranker", {}).get("accounting", {}).get("score_seconds"):
        parts.append(f"rerank {reranking:.1f} s")
    for name, words in (("padding_share", "padding"), ("slot_use", "slots in use")):
        if name in counts:
            parts.append(f"{words} {counts[name]:.0%}")
    if counts.get("out_of_memory_retries"):
        parts.append(f"{counts['out_of_memory_retries']} retries after running out of memory")
    peak = max(environment.peak_memory_mb or 0.0, counts.get("peak_memory_bytes", 0) / 2**20)
    parts.append(f"peak memory {peak:.0f} MiB")
    return f"{environment.engine or 'engine'}: {', '.join(parts)}"


def versions() -> dict[str, str | None]:
    """Return {package: version} of those that figures and replies depend on; None if one is not installed."""
    installed: dict[str, str | None] = dict.fromkeys(PACKAGES)
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            installed[name] = metadata.version(name)
    return installed


def code_revision() -> str | None:
    """Return the git commit of a checkout, with ``+changes`` if files differ, or None outside a checkout."""
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
    """Return the peak resident memory of this process, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
