"""The `fast` engine: `generate`'s replies for GPT-2 and Llama models, many times faster, on CPU and CUDA.

Read `decode.py` for the loop, `cache.py` for what makes beams cheap, `gpt2.py` for the model.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dialoeval.config.schema import Strategy
from dialoeval.errors import UserError
from dialoeval.generation.types import TokenReply, TokenRequest

if TYPE_CHECKING:
    from dialoeval.config import DecodingConfig, EngineConfig
    from dialoeval.generation.engines.fast.network import Network
    from dialoeval.generation.engines.fast.workers import Pool

VERSION = 2  # of the numerics: raised when a change to the code can change a reply or a score

__all__ = ["VERSION", "FastEngine", "supports"]

_CORE_FLOPS = 5e10  # of a CPU core in float32, to guess how long work takes
_WORTH_WORKERS = 20.0  # seconds of work that pay for starting processes
_TYPICAL_REPLY = 16  # tokens, for the same guess


def supports(hf_config: Any, decoding: DecodingConfig) -> str | None:
    """None where this engine can do it, else one sentence why not.

    Args:
        hf_config: the model's transformers configuration.
    """
    from dialoeval.generation.engines.fast import gpt2, llama

    readers = {"gpt2": gpt2, "llama": llama}
    if hf_config.model_type not in readers:
        return f"the fast engine knows the GPT-2 and Llama architectures, not {hf_config.model_type!r}"
    if reason := readers[hf_config.model_type].unsupported(hf_config):
        return reason
    if decoding.strategy != Strategy.sample and decoding.num_candidates > 1:
        return f"{decoding.strategy} decoding gives one candidate, not {decoding.num_candidates}"
    if decoding.strategy == Strategy.beam:
        if decoding.num_beams < 2:
            return "beam decoding needs num_beams of at least 2"
        if 2 * decoding.num_beams > hf_config.vocab_size:
            return f"{decoding.num_beams} beams are too many for a vocabulary of {hf_config.vocab_size}"
        if decoding.early_stopping not in (True, False, "never"):
            return f"early_stopping is true, false or 'never', not {decoding.early_stopping!r}"
    return None


class FastEngine:
    """Continues and scores token sequences with a GPT-2 or Llama model.

    In float32 greedy and beam replies are those of one-by-one `generate`. Sampling draws are keyed (see
    `generation.rng`). Example ids must be unique within a call.

    Args:
        model: a transformers GPT2LMHeadModel or LlamaForCausalLM in float32 and eval mode; its weights are shared
            where possible, so it must not change.
        engine: device ("cpu", "cuda", "cuda:N"), dtype, batch_tokens, slots, workers.
        eos_id: the token that ends a reply.
        window: positions that prompt and reply may fill together.

    Raises:
        UserError: the device or dtype cannot be had.
    """

    name = "fast"

    def __init__(self, model: Any, engine: EngineConfig, *, eos_id: int, window: int):
        import torch

        from dialoeval.generation.engines.fast.accounting import Accounts
        from dialoeval.generation.engines.fast.running import Settings

        started = time.perf_counter()
        self.device = _device(engine.device)
        self.settings = Settings(engine, eos_id, window)
        native = _has_arithmetic(engine.dtype, self.device)
        self.network = _read(model, engine.dtype, self.device, window, native)
        if self.device.type == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = False
            torch.backends.cudnn.allow_tf32 = False
        self.arithmetic = engine.dtype if native else f"{engine.dtype} weights, fp32 arithmetic (no fast bf16 here)"
        self.accounts = Accounts()
        self.load_seconds = time.perf_counter() - started
        self.workers = 1  # of the last call
        self.pool: Pool | None = None
        self.computing: Network | None = None  # the network as this process computes with it, once it does

    def generate(self, requests: Sequence[TokenRequest], decoding: DecodingConfig, seed: int) -> Iterator[TokenReply]:
        """Yield num_candidates replies a request, in any order. A prompt that fills the window gets empty replies.

        Raises:
            ValueError: a prompt is empty or exceeds the window, ids repeat, or `supports` refuses.
            UserError: a worker died, or not even one context fits the memory.
        """
        from dialoeval.generation.engines.fast import decode, running

        rows, window = decode.width(decoding), self.settings.window
        if len({request.example_id for request in requests}) != len(requests):
            raise ValueError("example ids must be unique within a call")
        limits = [decode.limit(request, decoding, window) for request in requests]
        work = [request for request, limit in zip(requests, limits, strict=True) if limit > 0]
        for request, limit in zip(requests, limits, strict=True):
            if limit <= 0:  # nothing can be generated
                samples = decoding.num_candidates if decoding.strategy == Strategy.sample else 1
                yield from (TokenReply(request.example_id, sample, (), 0.0, "length") for sample in range(samples))
        if not work:
            return
        work.sort(key=lambda request: (-len(request.token_ids), request.example_id))
        prompt_tokens = sum(len(request.token_ids) for request in work)
        reply_tokens = len(work) * rows * min(_TYPICAL_REPLY, decoding.max_new_tokens)
        self.workers = self._processes(len(work), prompt_tokens + reply_tokens)
        share = -(-len(work) // self.workers)
        job = running.Job(decoding, seed, len(work[0].token_ids), share, self.workers)
        if self.workers > 1:
            yield from self._pool().generate(job, work, self.accounts)
            return
        queue = deque(work)

        def feed(count: int) -> list[TokenRequest]:
            return [queue.popleft() for _ in range(min(count, len(queue)))]

        with _one_thread(self.device):
            yield from running.generate(self._own(), self.settings, job, feed, self.accounts)

    def score(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[float]:
        """Sum of log P(target | context) in nats of each (context, target) pair of token sequences, in order.

        Raises:
            ValueError: a context is empty, or a pair exceeds the window.
        """
        from dialoeval.generation.engines.fast import memory, running, scoring

        scoring.check(pairs, self.settings.window)
        real = [number for number, (_, target) in enumerate(pairs) if len(target)]
        scores = [0.0] * len(pairs)
        lengths = [len(pairs[number][0]) + len(pairs[number][1]) for number in real]
        self.workers = self._processes(len(real), sum(lengths))
        budget = memory.plan(self.network, self.settings.engine, 1, 1, self.workers).tokens
        batches = [[real[at] for at in batch] for batch in scoring.batches(lengths, budget)]
        if self.workers > 1:
            numbered = [[(number, pairs[number]) for number in batch] for batch in batches]
            for number, value in self._pool().score(numbered, self.accounts):
                scores[number] = value
            return scores
        with _one_thread(self.device):
            for batch in batches:
                values = running.score(self._own(), [pairs[number] for number in batch], self.accounts)
                for number, value in zip(batch, values, strict=True):
                    scores[number] = value
        return scores

    def accounting(self) -> dict[str, Any]:
        """Counters since the start: replies, tokens, seconds a phase, padding, slot use, peak memory, arithmetic."""
        from dialoeval.generation.engines.fast import memory

        self.accounts.peak_bytes = max(self.accounts.peak_bytes, memory.peak_bytes(self.device))
        summary = self.accounts.summary()
        return {
            **summary,
            "load_seconds": round(self.load_seconds, 3),
            "workers": self.workers,
            "arithmetic": self.arithmetic + (", packed matrices" if self.computing and self.computing.packed else ""),
        }

    def close(self) -> None:
        """End worker processes."""
        if self.pool is not None:
            self.pool.close()
            self.pool = None

    def _processes(self, items: int, tokens: int) -> int:
        """How many processes to use for so many independent items of so many tokens in all."""
        asked = self.settings.engine.workers
        if self.device.type == "cuda" or items == 0 or os.name != "posix":
            return 1
        if asked:
            return min(asked, items)
        seconds = 2 * self.network.parameters() * tokens / _CORE_FLOPS
        return min(_cores(), items) if seconds > _WORTH_WORKERS else 1

    def _own(self) -> Network:
        """The network for computing in this process."""
        from dialoeval.generation.engines.fast import packing

        if self.computing is None:
            self.computing = packing.pack(self.network, 1)
        return self.computing

    def _pool(self) -> Pool:
        from dialoeval.generation.engines.fast.workers import Pool

        if self.pool is None or len(self.pool.processes) != self.workers:
            self.close()
            self.pool = Pool(self.network, self.settings, self.workers)
        return self.pool


def _device(name: str) -> Any:
    import torch

    device = torch.device(name)
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"engine.device={name}: the fast engine runs on cpu and cuda")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError(f"engine.device={name}: torch finds no CUDA device here; use engine.device=cpu")
    return device


def _has_arithmetic(dtype: str, device: Any) -> bool:
    import torch

    if dtype not in ("fp32", "bf16", "fp16"):
        raise UserError(f"engine.dtype={dtype}: it is fp32, bf16 or fp16")
    if device.type == "cuda" or dtype == "fp32":
        return True
    if dtype == "fp16":
        raise UserError("engine.dtype=fp16 needs CUDA; use fp32 or bf16 on the CPU")
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # AVX-512 at least; else bf16 products are very slow


def _read(model: Any, dtype: str, device: Any, window: int, native: bool) -> Any:
    import torch

    from dialoeval.generation.engines.fast import gpt2, llama
    from dialoeval.generation.engines.fast.network import low_precision

    wanted = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[dtype]
    model = model.to(device)

    def prepare(weight: torch.Tensor) -> torch.Tensor:
        return low_precision(weight, wanted, native)

    if model.config.model_type == "gpt2":
        return gpt2.read(model, prepare)
    return llama.read(model, prepare, window)


class _one_thread:
    """Within it torch uses one CPU thread: more of them lose time waiting for each other on such small products."""

    def __init__(self, device: Any):
        self.device = device

    def __enter__(self) -> None:
        import torch

        self.threads = torch.get_num_threads()
        if self.device.type == "cpu":
            torch.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        import torch

        torch.set_num_threads(self.threads)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
