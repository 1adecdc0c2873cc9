"""Decoding steps from recorded graphs against plain ones, on the CPU with a stand-in for CUDA's recorder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from support.fast_engine import HOW, PENALTIES, decoding, ended, engine, gpt2, llama, replies, requests
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dialoeval.generation.engines.fast import decode
from dialoeval.generation.engines.fast.cache import Cache
from dialoeval.generation.engines.fast.stepper import GraphStepper, Stepper

# Operations that wait for the device, which CUDA rejects in a capture.
WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "equal")


def storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def tensors(*nested) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(nested) if isinstance(leaf, torch.Tensor)]


class Recording(TorchDispatchMode):
    """The rules of CUDA graphs on the CPU: operations are recorded with their tensors and replayed on them.

    Replay does not run Python, so values that Python read during the recording are constants. The recording's memory
    must not be read after a replay, since other graphs share it.

    Args:
        known: tensors that outlive the recording. All other tensors that it reads must be its own results.
    """

    def __init__(self, known: list[torch.Tensor]):
        super().__init__()
        self.known = {storage(tensor) for tensor in known}
        self.results: dict[int, torch.Tensor] = {}  # by storage; references keep the addresses in use
        self.operations: list[tuple[Callable, tuple, dict, list[torch.Tensor]]] = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = operation.overloadpacket.__name__
        by_mask = name.startswith("index") and any(t.dtype == torch.bool for t in tensors(args[1:2]))
        assert name not in WAITS and not by_mask, f"{name} in a recorded step"
        read = {storage(tensor) for tensor in tensors(args, kwargs) if tensor.numel()}
        assert read <= self.known | self.results.keys(), f"{name} reads a tensor that replay would not find"
        results = operation(*args, **kwargs)
        fresh = [tensor for tensor in tensors(results) if storage(tensor) not in read]
        self.results.update((storage(tensor), tensor) for tensor in fresh)
        if fresh or operation._schema.is_mutable:  # views share the memory of their base
            self.operations.append((operation, args, kwargs, fresh))
        return results

    def replay(self) -> None:
        for operation, args, kwargs, fresh in self.operations:
            results = tensors(operation(*args, **kwargs))
            for target, result in zip(fresh, results, strict=bool(fresh)):
                target.copy_(result)
        for tensor in self.results.values():
            if tensor.is_floating_point():
                tensor.fill_(float("nan"))


class RecordedStepper(GraphStepper):
    """GraphStepper with `Recording` instead of a CUDA graph."""

    instances: list[RecordedStepper]

    def __init__(self, network, cache):
        super().__init__(network, cache)
        self.calls: list[tuple[int, int]] = []  # slots in use, extent
        self.instances.append(self)

    def __call__(self, tokens, positions, offsets, extent, rows):
        self.calls.append((len(tokens), extent))
        logits = super().__call__(tokens, positions, offsets, extent, rows)
        assert len(logits) == (tokens.numel() if rows is None else len(rows))
        assert logits.isfinite().all() and self.hidden.isfinite().all()  # padding slots too
        return logits

    def _record(self, step):
        cache = self.cache
        known = [*self.network.weights.values(), *cache.keys, *cache.values, cache.bias, self.inputs, self.hidden]
        step()  # as before a real capture; must not change the result
        recording = Recording(known)
        with recording:
            step()
        return recording.replay


@pytest.fixture
def recorded(monkeypatch):
    """Make decoders on the CPU step from recordings, and return their steppers in order."""
    RecordedStepper.instances = []
    monkeypatch.setattr(decode, "Stepper", RecordedStepper)
    return RecordedStepper.instances


WAYS = HOW | {"beam with penalties": decoding("beam", num_beams=4, **PENALTIES)}


@pytest.mark.parametrize("how", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("make", [gpt2, llama])
def test_replies_from_recorded_steps_are_those_of_plain_ones(make, how, monkeypatch, recorded):
    model, work = make(6, end=8.0), requests(24, seed=6)
    with monkeypatch.context() as plain:
        plain.setattr(decode, "Stepper", Stepper)
        expected = replies(engine(model), work, how, seed=9)
    assert not recorded and ended(expected) > 0
    for slots in (1, 3, 7, 24):
        rows = slots * decode.picker_class(how).width(how)
        assert replies(engine(model, slots=rows), work, how, seed=9) == expected
    assert len(recorded) == 4
    assert all(len(stepper.graphs) <= len(set(stepper.calls)) for stepper in recorded)


def test_steps_cover_padding_refills_moves_and_extents(monkeypatch, recorded):
    moves = []
    move = Cache.move
    monkeypatch.setattr(Cache, "move", lambda self, *where: (moves.append(where), move(self, *where)))
    model, work, how = gpt2(6, end=6.0), requests(20, seed=3), decoding("beam", num_beams=4, max_new_tokens=40)
    recorded_replies = replies(engine(model, slots=28), work, how)
    (stepper,) = recorded
    assert {count for count, _ in stepper.calls} >= {3, 6}  # which are not buckets
    assert {slots for slots, _ in stepper.graphs} == {1, 2, 4, 7}
    assert {extent for _, extent in stepper.graphs} == {64, 128, 192, 256}
    assert len(stepper.calls) > 2 * len(stepper.graphs)  # most steps are replayed
    assert moves and len(recorded_replies) > stepper.slots  # slots were refilled
    monkeypatch.undo()
    assert recorded_replies == replies(engine(model, slots=28), work, how)


def test_the_last_places_of_the_cache_are_reached(recorded):
    """Every reply runs to its limit, where the last position of the full extent is in use."""
    model, work = gpt2(6, end=-1000.0), [replace(request, token_ids=(3,) * 24) for request in requests(5)]
    how = decoding("sample", top_k=5, num_candidates=4, max_new_tokens=10)
    recorded_replies = replies(engine(model), work, how)
    assert {len(tokens) for tokens, _ in recorded_replies.values()} == {10}
    (stepper,) = recorded
    assert max(extent for _, extent in stepper.calls) == 24 + 9 * 4 and set(stepper.graphs) == {(8, 64)}
    # Of the 8 computed slots 3 never had a prompt. Their rows attend to something too: attention over nothing may be
    # NaN on some devices.
    assert stepper.cache.bias[:8].isfinite().any(dim=2).all()


OUTSIDE = torch.ones(4)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (lambda known: known + known.sum().item(), "_local_scalar_dense"),
        (lambda known: known[known > 0], "index in"),
        (lambda known: known + torch.tensor([1]), "would not find"),
        (lambda known: known * OUTSIDE, "would not find"),
    ],
    ids=["item", "mask", "from the host", "from elsewhere"],
)
def test_the_recorder_refuses_what_a_capture_would(step, reason):
    known = torch.arange(4)
    with pytest.raises(AssertionError, match=reason), Recording([known]):
        step(known)


def test_the_recorder_replays():
    source, target = torch.arange(4.0), torch.zeros(4)
    with (recording := Recording([source, target])):
        double = source.view(2, 2) * 2
        double += 1
        target.copy_(double.view(4))
    source.fill_(5.0)
    recording.replay()
    assert target.tolist() == [11.0] * 4 and double.isnan().all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("how", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("make", [gpt2, llama])
def test_replies_on_cuda_are_those_on_the_cpu(make, how):
    work = requests(24, seed=6)
    expected = replies(engine(make(6, end=8.0)), work, how, seed=9)
    for slots in (1, 3, 24):
        fast = engine(make(6, end=8.0), device="cuda", slots=slots * decode.picker_class(how).width(how))
        for _ in range(2):  # each call records its own graphs
            assert replies(fast, work, how, seed=9) == expected
