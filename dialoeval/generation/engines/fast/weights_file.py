"""A network's weights in one file that several processes map, so that they share one copy in memory."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dialoeval.errors import UserError
from dialoeval.generation.engines.fast.architectures import ARCHITECTURES
from dialoeval.generation.engines.fast.network import Network, Shape

if TYPE_CHECKING:
    import torch

_ALIGNMENT = 64  # bytes: a cache line


@dataclass(frozen=True)
class Blueprint:
    """The layout of the file.

    Attributes:
        bytes: size of the file.
        weights: name -> (dtype name, sizes, byte offset).
    """

    path: str
    bytes: int
    shape: Shape
    weights: dict[str, tuple[str, tuple[int, ...], int]]


def save(network: Network) -> Blueprint:
    """Write the weights to a temporary file, in memory if they fit. The caller unlinks it after mapping.

    Raises:
        UserError: the file fits no temporary folder.
    """
    layout: dict[str, tuple[str, tuple[int, ...], int]] = {}
    offsets: dict[tuple[int, tuple[int, ...]], int] = {}  # tied weights are written once
    order: list[torch.Tensor] = []
    total = 0
    for name, weight in network.weights.items():
        identity = (weight.data_ptr(), tuple(weight.shape))
        if identity not in offsets:
            offsets[identity] = total
            order.append(weight)
            total += -(-weight.numel() * weight.element_size() // _ALIGNMENT) * _ALIGNMENT
        layout[name] = (str(weight.dtype).removeprefix("torch."), tuple(weight.shape), offsets[identity])
    path = _temporary_file(total)
    blueprint = Blueprint(path, total, network.shape, layout)
    storage = _map(path, total)
    for weight in order:
        offset = offsets[weight.data_ptr(), tuple(weight.shape)]
        _view(storage, weight.dtype, tuple(weight.shape), offset).copy_(weight)
    return blueprint


def load(blueprint: Blueprint) -> Network:
    """Return the network with weights in the mapped file."""
    import torch

    storage = _map(blueprint.path, blueprint.bytes)
    weights = {
        name: _view(storage, getattr(torch, dtype), sizes, offset)
        for name, (dtype, sizes, offset) in blueprint.weights.items()
    }
    return Network(blueprint.shape, weights, ARCHITECTURES[blueprint.shape.architecture].hidden)


def _temporary_file(size: int) -> str:
    """Return the path of a new file of `size` bytes."""
    folders = [folder for folder in ("/dev/shm", tempfile.gettempdir()) if os.access(folder, os.W_OK)]
    for folder in folders:
        if shutil.disk_usage(folder).free > size * 1.05:
            descriptor, path = tempfile.mkstemp(prefix="dialoeval-weights-", dir=folder)
            os.truncate(descriptor, size)
            os.close(descriptor)
            return path
    raise UserError(
        f"no room for {size / 2**30:.1f} GiB of weights to share between workers in {' or '.join(folders)}: "
        "free memory or disk space, set TMPDIR, or use engine.workers=1"
    )


def _map(path: str, size: int) -> torch.UntypedStorage:
    import torch

    storage = torch.UntypedStorage.from_file(path, shared=True, nbytes=size)
    assert isinstance(storage, torch.UntypedStorage)  # torch's annotation does not say so
    return storage


def _view(storage: torch.UntypedStorage, dtype: torch.dtype, sizes: tuple[int, ...], offset: int) -> torch.Tensor:
    import torch

    flat = torch.tensor([], dtype=dtype).set_(storage)
    start = offset // flat.element_size()
    return flat[start : start + math.prod(sizes)].view(sizes)
