"""bfloat16 matrices laid out beforehand for oneDNN's kernels, on CPUs with arithmetic in it (AVX-512, AMX).

torch lays a matrix out anew in every product, which costs about a fifth of it. The operations are torch's own for
compiled models and not public, so they are tried first, on every matrix: what fails stays as it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dialoeval.generation.engines.fast import memory
from dialoeval.generation.engines.fast.network import Network, product

if TYPE_CHECKING:
    import torch

_SHARE = 0.25  # of the free memory
_ROWS = 64  # of the products the layout is chosen for; others work too


def pack(network: Network, processes: int, dtype: torch.dtype | None = None) -> Network:
    """Return the network with its matrices packed, for this process alone; or itself on CUDA and in another dtype.

    The plain matrices stay, so it is itself too if the copies of all `processes` would take a quarter of the memory.

    Args:
        dtype: bfloat16 if None. In float32 the BLAS is as fast without.
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
    """Return a matrix (in, out) packed; None if these operations are missing, refuse it, or give another product."""
    import torch

    try:
        packed: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.t().contiguous(), _ROWS)
        x = torch.linspace(-1, 1, 2 * weight.shape[0]).view(2, -1).to(weight.dtype)
        approximate = product(x, packed, bias).float()
    except (RuntimeError, AttributeError, TypeError, NotImplementedError):
        return None
    exact = x.float() @ weight.float() + (0 if bias is None else bias.float())
    return packed if torch.allclose(approximate, exact, rtol=0.02, atol=0.02 * float(exact.abs().amax())) else None
