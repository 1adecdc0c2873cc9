"""The fast engine's worker processes, shared weights and recovery from out-of-memory errors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.fast_engine import HOW, decoding, engine, gpt2, llama, replies, requests

from dialoeval.errors import UserError, is_out_of_memory
from dialoeval.generation.engines.fast import memory, weights_file
from dialoeval.generation.engines.fast.network import Network, Shape


@pytest.fixture(scope="module")
def pair():
    """Return one engine with two workers and one without, for the same model."""
    model = gpt2(10, end=8.0)
    several, one = engine(model, workers=2), engine(model)
    yield several, one
    several.close()


@pytest.mark.parametrize("name", ["greedy", "beam", "candidates"])
def test_workers_change_no_reply(pair, name):
    several, one = pair
    work = requests(40, seed=10)
    assert replies(several, work, HOW[name], seed=3) == replies(one, work, HOW[name], seed=3)
    assert several.accounting()["workers"] == 2 and len(several.pool.processes) == 2


def test_workers_change_no_score(pair):
    several, one = pair
    pairs = [(c.token_ids, t.token_ids) for c, t in zip(requests(30, 1), requests(30, 2), strict=True)]
    assert several.score(pairs) == pytest.approx(one.score(pairs), abs=1e-4)


def test_accounts_of_workers_add_up(pair):
    several, _ = pair
    before = several.accounting()["replies"]
    replies(several, requests(9), decoding())
    assert several.accounting()["replies"] == before + 9


def test_a_dead_worker_is_an_error_and_not_a_wait(pair):
    several, one = pair
    replies(several, requests(2), decoding())
    stream = several.generate(requests(40), decoding(max_new_tokens=40, min_new_tokens=40), 0)
    next(stream)
    for process in several.pool.processes:
        os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(UserError, match=r"ended by signal 9 .*engine\.workers=1"):
        list(stream)
    assert replies(several, requests(8), decoding()) == replies(one, requests(8), decoding())  # with new workers


def test_a_caller_that_stops_early_leaves_no_worker_behind(pair):
    several, _ = pair
    stream = several.generate(requests(40), decoding(), 0)
    next(stream)
    processes = list(several.pool.processes)
    stream.close()
    assert all(process.poll() is not None for process in processes)
    assert len(replies(several, requests(4), decoding())) == 4


def test_a_refusal_in_a_worker_arrives_as_one(pair):
    several, _ = pair
    with pytest.raises(RuntimeError, match="IndexError"):  # token ids beyond the vocabulary
        several.score([((10**6,), (1,)), ((10**6, 2), (1,))])


SCRIPT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background processes ignore it
sys.path.insert(0, {tests!r})
from support.fast_engine import decoding, engine, gpt2, requests
fast = engine(gpt2(), workers=2)
stream = fast.generate(requests(400), decoding(max_new_tokens=50, min_new_tokens=50), 0)
next(stream)
print(*(process.pid for process in fast.pool.processes), flush=True)
for _ in stream:
    pass
"""


def test_interrupt_ends_the_workers(tmp_path):
    """Like Ctrl-C, the signal reaches the whole process group. A script from standard input has no main module."""
    script = SCRIPT.format(tests=str(Path(__file__).parents[1]))
    process = subprocess.Popen(
        [sys.executable, "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    process.stdin.write(script)
    process.stdin.close()
    workers = [int(pid) for pid in process.stdout.readline().split()]
    assert len(workers) == 2
    os.killpg(process.pid, signal.SIGINT)
    with process:  # closes its pipes
        assert process.wait(60) != 0
        errors = process.stderr.read()
    assert errors.count("Traceback") == 1 and "KeyboardInterrupt" in errors  # from the parent, not from a worker
    deadline = time.monotonic() + 30
    while any(map(_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(_alive, workers))
    process.stdout.close()
    process.stderr.close()


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_shared_weights_are_the_weights():
    for model in (gpt2(), llama(), llama(tie_word_embeddings=True)):
        network = engine(model).network
        blueprint = weights_file.save(network)
        try:
            copy = weights_file.load(blueprint)
        finally:
            os.unlink(blueprint.path)
        assert copy.shape == network.shape and copy.weights.keys() == network.weights.keys()
        assert all(torch.equal(copy.weights[name], weight) for name, weight in network.weights.items())
        assert copy.parameters() == network.parameters()
    assert blueprint.bytes < 4 * network.parameters() + 64 * len(network.weights)  # tied weights once


def test_no_room_for_shared_weights_is_said(monkeypatch):
    monkeypatch.setattr(weights_file.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 10})())
    with pytest.raises(UserError, match=r"no room .*engine\.workers=1"):
        weights_file.save(engine(gpt2()).network)


@pytest.mark.parametrize("name", ["greedy", "beam", "candidates"])
def test_out_of_memory_halves_the_work_and_changes_no_reply(name):
    model, work = gpt2(11, end=8.0), requests(30, seed=11)
    expected = replies(engine(model), work, HOW[name])
    calls = {"steps": 0, "failed steps": 0, "failed heads": 0}

    class Tight(Network):
        """A network that runs out of memory in every fifth step with more than 10 rows, and for more than 25 logits."""

        def hidden(self, tokens, positions, *rest):
            if positions.min() > 0:  # not a prompt
                calls["steps"] += 1
                if len(tokens) > 10 and calls["steps"] % 5 == 0:
                    calls["failed steps"] += 1
                    raise torch.OutOfMemoryError("CUDA out of memory. (injected)")
            return super().hidden(tokens, positions, *rest)

        def logits(self, hidden):
            if len(hidden) > 25:
                calls["failed heads"] += 1
                raise RuntimeError(
                    "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 1 bytes (injected)"
                )
            return super().logits(hidden)

    fast = engine(model)
    fast.computing = Tight(**vars(fast.network))
    assert replies(fast, work, HOW[name]) == expected
    assert calls["failed steps"] and calls["failed heads"]
    assert fast.accounting()["out_of_memory_retries"] >= 1


def with_hidden(model, hidden):
    """Return an engine whose network runs `hidden` instead of the architecture's function."""
    fast = engine(model)
    fast.computing = replace(fast.network, forward=hidden)
    return fast


def test_out_of_memory_while_scoring():
    model = gpt2(11)
    pairs = [(c.token_ids, t.token_ids) for c, t in zip(requests(30, 1), requests(30, 2), strict=True)]
    expected = engine(model).score(pairs)
    forward = engine(model).network.forward

    def failing(network, tokens, positions, *rest):
        if (positions == 0).sum() > 3:  # sequences
            raise MemoryError
        return forward(network, tokens, positions, *rest)

    tight = with_hidden(model, failing)
    assert tight.score(pairs) == pytest.approx(expected, abs=1e-4)
    assert tight.accounting()["out_of_memory_retries"] >= 1


def test_a_single_context_that_does_not_fit_is_said():
    def failing(*_):
        raise MemoryError

    with pytest.raises(UserError, match="out of memory with a single context"):
        replies(with_hidden(gpt2(), failing), requests(5), decoding())
    with pytest.raises(UserError, match="out of memory while scoring a single pair"):
        with_hidden(gpt2(), failing).score([((1, 2), (3,))])


def test_other_errors_are_not_taken_for_memory():
    def failing(*_):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        replies(with_hidden(gpt2(), failing), requests(5), decoding())


def test_the_plan_fits_the_memory(monkeypatch):
    """The plan for GPT-2 large with beam width 10 does not grow with the number of contexts."""
    fast = engine(gpt2())
    large = replace(fast.network, shape=Shape("gpt2", 36, 20, 20, 64, 50257, 1e-5, "gelu_new", (0.125,) * 36))
    monkeypatch.setattr(memory, "available", lambda device: 16 << 30)
    capacity = 80 + 10 * 64
    plan = memory.plan(large, fast.settings.engine, 10, capacity)
    assert 10 <= plan.rows <= 128
    assert plan.rows // 10 * capacity * 2 * 36 * 1280 * 4 < 8 << 30
    monkeypatch.setattr(memory, "available", lambda device: 1 << 20)
    assert memory.plan(large, fast.settings.engine, 10, capacity).rows == 10  # one context at least


def test_low_precision_runs_and_says_what_it_is():
    model, work = gpt2(12), requests(10)
    fast = engine(model, dtype="bf16")
    assert len(replies(fast, work, decoding("beam", num_beams=3))) == 10
    assert fast.accounting()["arithmetic"].startswith("bf16")
    exact = engine(model).score([((1, 2, 3), (4, 5))])[0]
    rounded = fast.score([((1, 2, 3), (4, 5))])[0]
    assert rounded != exact and rounded == pytest.approx(exact, abs=2.0)


def test_devices_and_dtypes_that_cannot_be_had():
    with pytest.raises(UserError, match="fp16 needs CUDA"):
        engine(gpt2(), dtype="fp16")
    with pytest.raises(UserError, match=r"engine\.dtype must be fp32, bf16 or fp16, not 'int3'"):
        engine(gpt2(), dtype="int3")
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="no CUDA device"):
            engine(gpt2(), device="cuda")


def test_what_running_out_of_memory_looks_like():
    masked = RuntimeError("operation not permitted when stream is capturing")
    masked.__context__ = torch.OutOfMemoryError("CUDA out of memory")
    for error in (
        MemoryError(),
        masked,
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ):
        assert is_out_of_memory(error)
    for error in (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("not enough memory")):
        assert not is_out_of_memory(error)
