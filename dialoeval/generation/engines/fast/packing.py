"""bfloat16 matrices laid out beforehand for oneDNN's kernels, on CPUs with arithmetic in it (AVX-512, AMX).

torch lays a matrix out anew in every product, which costs about a fifth of it. The operations are torch's own for
compiled models and not public, so they are tried first, on every matrix: what fails stays as it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dialoeval.generation.engines.fast import memory

if TYPE_CHECKING:
    import torch

    from dialoeval.generation.engines.fast.network import Network

_DTYPE = "torch.bfloat16"  # in float32 the BLAS is as fast without
_SHARE = 0.25  # of the free memory
_ROWS = 64  # of the products the layout is chosen for; others work too


def pack(network: Network, processes: int) -> Network:
    """The network with its bfloat16 matrices packed, for this process alone; itself on CUDA and in float32.

    The plain matrices stay, so this is left out where the copies of all `processes` would take a quarter of the memory.
    """
    if network.device.type != "cpu" or str(network.dtype) != _DTYPE:
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


def product(x: torch.Tensor, packed: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """x (rows, in) times a packed matrix, plus bias (out,); in x's dtype."""
    import torch

    return torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")


def _packed(weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor | None:
    """A matrix (in, out) packed; None where these operations are missing, refuse it, or give something else."""
    import torch

    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.t().contiguous(), _ROWS)
        x = torch.linspace(-1, 1, 2 * weight.shape[0]).view(2, -1).to(weight.dtype)
        theirs = product(x, packed, bias).float()
    except (RuntimeError, AttributeError, TypeError, NotImplementedError):
        return None
    exact = x.float() @ weight.float() + (0 if bias is None else bias.float())
    return packed if torch.allclose(theirs, exact, rtol=0.02, atol=0.02 * float(exact.abs().amax())) else None
