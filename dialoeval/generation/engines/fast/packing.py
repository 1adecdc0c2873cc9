"""Packed bfloat16 matrices: the layout of oneDNN's kernels, on CPUs with bfloat16 arithmetic (AVX-512, AMX).

Without packing, torch converts the layout in every product, which costs about a fifth of its time. The operations are
those of torch for compiled models and not public, so every packed matrix is tested first, and any failure leaves the
network unpacked.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dialoeval.generation.engines.fast import memory
from dialoeval.generation.engines.fast.network import Network, product

if TYPE_CHECKING:
    import torch

_SHARE = 0.25  # of the free memory
_ROWS = 64  # rows of x for which oneDNN optimises the layout; other numbers work too


def pack(network: Network, processes: int, dtype: torch.dtype | None = None) -> Network:
    """Return the network with packed copies of its matrices, for this process only.

    The network is returned unchanged on CUDA, in another dtype, or if the copies of all processes would take more than
    a quarter of the free memory.

    Args:
        network: the network to pack.
        processes: number of processes that pack it.
        dtype: the dtype to pack; None: bfloat16. In float32 packing is not faster.
    """
    import torch

    if network.device.type != "cpu" or network.dtype != (dtype or torch.bfloat16):
        return network
    matrices = {
        name.removesuffix(".weight"): weight
        for name, weight in network.weights.items()
        if name.endswith(".weight") and weight.dim() == 2 and weight.dtype == network.dtype
    }
    size = sum(weight.numel() * weight.element_size() for weight in matrices.values())
    if size * processes > _SHARE * memory.available(network.device):
        return network
    packed = {}
    for name, weight in matrices.items():
        matrix = _packed(weight, network.weights.get(f"{name}.bias"))
        if matrix is None:
            return network
        packed[name] = matrix
    return replace(network, packed=packed)


def _packed(weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor | None:
    """Return the packed matrix (in, out), or None if the operations are missing, fail, or give a wrong product."""
    import torch

    try:
        packed: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.t().contiguous(), _ROWS)
        x = torch.linspace(-1, 1, 2 * weight.shape[0]).view(2, -1).to(weight.dtype)
        approximate = product(x, packed, bias).float()
    except (RuntimeError, AttributeError, TypeError, NotImplementedError):
        return None
    exact = x.float() @ weight.float() + (0 if bias is None else bias.float())
    return packed if torch.allclose(approximate, exact, rtol=0.02, atol=0.02 * float(exact.abs().amax())) else None
