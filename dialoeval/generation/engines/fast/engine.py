"""The engine's interface, and the division of its work between processes."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dialoeval.errors import UserError
from dialoeval.generation.engines.fast import decode, memory, packing, recovery, scoring
from dialoeval.generation.engines.fast.architectures import ARCHITECTURES
from dialoeval.generation.engines.fast.counters import Counters
from dialoeval.generation.engines.fast.job import Job, Settings, reply_limit
from dialoeval.generation.engines.fast.network import low_precision
from dialoeval.generation.engines.fast.pool import Pool
from dialoeval.generation.types import TORCH_DTYPES, Accounting, TokenReply, TokenRequest

if TYPE_CHECKING:
    import torch

    from dialoeval.config import DecodingConfig, EngineConfig
    from dialoeval.generation.engines.fast.network import Network

VERSION = 2  # of the numerics: raise it when a change to the code can change a reply or a score

_CORE_FLOPS = 5e10  # operations per second of a CPU core in float32, to estimate the seconds of work
_WORTH_WORKERS = 20.0  # seconds of work above which worker processes pay off
_TYPICAL_REPLY = 16  # tokens per reply, for the same estimate


class FastEngine:
    """A `TokenEngine` for GPT-2 and Llama models.

    In float32, greedy and beam replies equal those of one-by-one `generate`. Random draws are keyed (see
    `generation.rng`).

    Args:
        model: a transformers GPT2LMHeadModel or LlamaForCausalLM in float32 and eval mode. It must not change, since
            its weights are shared if possible.
        engine: device ("cpu", "cuda", "cuda:N"), dtype, batch_tokens, slots, workers.
        eos_ids: the end tokens.
        window: context length in tokens, which prompt and reply share.
        tokenizer: of transformers; only stop texts need it.

    Raises:
        UserError: the device or dtype is not available.
    """

    name = "fast"
    version = VERSION

    def __init__(
        self, model: Any, engine: EngineConfig, *, eos_ids: tuple[int, ...], window: int, tokenizer: Any = None
    ) -> None:
        import torch

        started = time.perf_counter()
        self.device = _device(engine.device)
        self.settings = Settings(engine, eos_ids, window, tokenizer)
        native = _has_arithmetic(engine.dtype, self.device)
        self.network = _read(model, engine.dtype, self.device, window, native)
        if self.device.type == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = False
            torch.backends.cudnn.allow_tf32 = False
        self.arithmetic = engine.dtype if native else f"{engine.dtype} weights, fp32 arithmetic (no fast bf16 here)"
        self.counters = Counters()
        self.load_seconds = time.perf_counter() - started
        self.workers = 1  # processes of the last call
        self.pool: Pool | None = None
        self.computing: Network | None = None  # the network, packed for this process; set at first use

    def generate(self, requests: Sequence[TokenRequest], decoding: DecodingConfig, seed: int) -> Iterator[TokenReply]:
        """Yield num_candidates replies per request, in any order. A prompt that fills the window gets empty replies.

        Raises:
            ValueError: a prompt is empty or exceeds the window, or an example id is not unique within the call.
            UserError: a worker died, or a single context does not fit the memory.
        """
        picker, window = decode.picker_class(decoding), self.settings.window
        if len({request.example_id for request in requests}) != len(requests):
            raise ValueError("example ids must be unique within a call")
        limits = [reply_limit(request, decoding, window) for request in requests]
        work = [request for request, limit in zip(requests, limits, strict=True) if limit > 0]
        for request, limit in zip(requests, limits, strict=True):
            if limit == 0:  # the prompt fills the window
                for sample in range(decoding.num_candidates):
                    yield TokenReply(request.example_id, sample, (), 0.0, "length")
        if not work:
            return
        work.sort(key=lambda request: (-len(request.token_ids), request.example_id))
        prompt_tokens = sum(len(request.token_ids) for request in work)
        reply_tokens = len(work) * picker.width(decoding) * min(_TYPICAL_REPLY, decoding.max_new_tokens)
        self.workers = self._processes(len(work), prompt_tokens + reply_tokens)
        share = -(-len(work) // self.workers)
        job = Job(decoding, seed, len(work[0].token_ids), share, self.workers)
        if self.workers > 1:
            yield from self._pool().generate(job, work, self.counters)
            return
        queue = deque(work)

        def feed(count: int) -> list[TokenRequest]:
            return [queue.popleft() for _ in range(min(count, len(queue)))]

        with _one_thread(self.device):
            yield from recovery.generate(self._own(), self.settings, job, feed, self.counters)

    def stream(
        self, request: TokenRequest, decoding: DecodingConfig, seed: int, hear: Callable[[Sequence[int]], None]
    ) -> TokenReply:
        """Return the one reply of greedy search or sampling, and tell its tokens so far at every step.

        Raises:
            ValueError, UserError: as for `generate`.
        """
        if reply_limit(request, decoding, self.settings.window) == 0:  # the prompt fills the window
            return TokenReply(request.example_id, 0, (), 0.0, "length")
        job = Job(decoding, seed, len(request.token_ids), 1, hear=hear)
        queue = [request]
        with _one_thread(self.device):
            (reply,) = recovery.generate(
                self._own(), self.settings, job, lambda count: [queue.pop()] if queue and count else [], self.counters
            )
        return reply

    def score(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[float]:
        """Return log P(target | context) in nats for each (context, target) pair of token ids, in order.

        Raises:
            ValueError: a context is empty, or a pair exceeds the window.
        """
        scoring.check(pairs, self.settings.window)
        real = [number for number, (_, target) in enumerate(pairs) if len(target)]
        scores = [0.0] * len(pairs)
        lengths = [len(pairs[number][0]) + len(pairs[number][1]) for number in real]
        self.workers = self._processes(len(real), sum(lengths))
        budget = memory.plan(self.network, self.settings.engine, 1, 1, self.workers).tokens
        batches = [[real[index] for index in batch] for batch in scoring.batches(lengths, budget)]
        if self.workers > 1:
            numbered = [[(number, pairs[number]) for number in batch] for batch in batches]
            for number, value in self._pool().score(numbered, self.counters):
                scores[number] = value
            return scores
        with _one_thread(self.device):
            for batch in batches:
                values = recovery.score(self._own(), [pairs[number] for number in batch], self.counters)
                for number, value in zip(batch, values, strict=True):
                    scores[number] = value
        return scores

    def accounting(self) -> Accounting:
        """Return replies, tokens, seconds per phase, padding, slot use, peak memory and arithmetic."""
        self.counters.peak_bytes = max(self.counters.peak_bytes, memory.peak_bytes(self.device))
        summary = self.counters.summary()
        return {
            **summary,
            "load_seconds": round(self.load_seconds, 3),
            "workers": self.workers,
            "arithmetic": self.arithmetic + (", packed matrices" if self.computing and self.computing.packed else ""),
        }

    def close(self) -> None:
        """Stop the worker processes."""
        if self.pool is not None:
            self.pool.close()
            self.pool = None

    def _processes(self, items: int, tokens: int) -> int:
        """Return the number of processes for `items` independent items with `tokens` tokens in total."""
        workers = self.settings.engine.workers
        if self.device.type == "cuda" or items == 0 or os.name != "posix":
            return 1
        if workers:
            return min(workers, items)
        seconds = 2 * self.network.parameters() * tokens / _CORE_FLOPS
        return min(_cores(), items) if seconds > _WORTH_WORKERS else 1

    def _own(self) -> Network:
        """Return the network for this process, with packed matrices if possible."""
        if self.computing is None:
            self.computing = packing.pack(self.network, 1)
        return self.computing

    def _pool(self) -> Pool:
        if self.pool is None or len(self.pool.processes) != self.workers:
            self.close()
            self.pool = Pool(self.network, self.settings, self.workers)
        return self.pool


def _device(name: str) -> torch.device:
    import torch

    device = torch.device(name)
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"engine.device={name}: the fast engine runs on cpu and cuda")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError(f"engine.device={name}: torch finds no CUDA device here; use engine.device=cpu")
    return device


def _has_arithmetic(dtype: str, device: torch.device) -> bool:
    import torch

    if device.type == "cuda" or dtype == "fp32":
        return True
    if dtype == "fp16":
        raise UserError("engine.dtype=fp16 needs CUDA; use fp32 or bf16 on the CPU")
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # needs AVX-512; without it bf16 products are very slow


def _read(model: Any, dtype: str, device: torch.device, window: int, native: bool) -> Network:
    import torch

    torch_dtype = getattr(torch, TORCH_DTYPES[dtype])

    def prepare(weight: torch.Tensor) -> torch.Tensor:
        return low_precision(weight, torch_dtype, native)

    return ARCHITECTURES[model.config.model_type].read(model.to(device), prepare, window)


@contextlib.contextmanager
def _one_thread(device: torch.device) -> Iterator[None]:
    """Limit torch to one CPU thread: these products are so small that more threads would mostly wait."""
    import torch

    threads = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
