"""The limits of concurrent work that fit the free memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dialoeval.errors import UserError
from dialoeval.generation.engines.fast.cache import ALIGNMENT

if TYPE_CHECKING:
    import torch

    from dialoeval.config import EngineConfig
    from dialoeval.generation.engines.fast.network import Network

# Rows of a decoding step above which matrix products get no faster per row; tokens of a prefill that fit the CPU cache.
_CPU_ROWS, _CPU_TOKENS = 128, 512
_CUDA_ROWS, _CUDA_TOKENS = 1024, 32768
_SHARE = 0.5  # of the free memory; the rest is for other processes and the allocator's reserve


@dataclass(frozen=True)
class Plan:
    """Limits of the work in flight.

    Attributes:
        rows: number of concurrent sequences.
        tokens: padded tokens per prefill or scoring batch.
    """

    rows: int
    tokens: int

    def halved(self, width: int) -> Plan:
        """Return half of both limits, after an out-of-memory error.

        Raises:
            UserError: a single context of `width` rows does not fit.
        """
        if self.rows <= width and self.tokens <= 1:
            raise UserError("out of memory with a single context in flight: use a smaller model, fewer beams or bf16")
        return replace(self, rows=max(width, self.rows // 2), tokens=max(1, self.tokens // 2))


def plan(network: Network, engine: EngineConfig, width: int, capacity: int, processes: int = 1) -> Plan:
    """Return the limits that fit the free memory, for slots of `width` rows and `capacity` positions each."""
    shape = network.shape
    cuda = network.device.type == "cuda"
    room = available(network.device) * _SHARE / processes
    item = network.weights["probe"].element_size()
    capacity = -(-capacity // ALIGNMENT) * ALIGNMENT  # as the cache rounds it
    slot = 2 * shape.layers * shape.kv_heads * shape.head_dim * capacity * item
    slot += width * 4 * 4 * shape.vocabulary  # logits, log-probabilities, scores, one copy
    slots = max(1, int(room / slot))
    rows = engine.slots or (_CUDA_ROWS if cuda else _CPU_ROWS)
    tokens = engine.batch_tokens or (_CUDA_TOKENS if cuda else _CPU_TOKENS)
    activations = 16 * shape.heads * shape.head_dim * 4  # bytes per token of a prefill, an upper bound
    return Plan(max(width, min(rows, slots * width)), max(1, min(tokens, int(room / activations))))


def available(device: torch.device) -> int:
    """Return the free memory in bytes; on CPU, MemAvailable or the rest of the control group's limit if lower."""
    import torch

    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    free = _meminfo()
    limit, used = (_number(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
    if limit is not None and used is not None:
        free = min(free, max(0, limit - used))
    return free


def _meminfo() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 4 << 30  # not Linux: assume 4 GiB


def _number(path: str) -> int | None:
    try:
        text = Path(path).read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def peak_bytes(device: torch.device) -> int:
    """Return this process's peak memory in bytes: resident on CPU, allocated by torch on CUDA."""
    import resource
    import sys

    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
