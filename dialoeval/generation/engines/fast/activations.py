"""The activation functions of feed-forward layers, by transformers' names."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def _gelu_tanh(x: torch.Tensor) -> torch.Tensor:
    import torch.nn.functional as F

    if x.device.type != "cpu":
        return F.gelu(x, approximate="tanh")
    # On CPU tanh is slow. (1 + tanh(u)) / 2 equals sigmoid(2u), and these five passes over cached data take half the
    # time. transformers' gelu_new is the same formula in eight passes.
    twice = math.sqrt(8 / math.pi)
    return (x * x).mul_(0.044715 * twice).add_(twice).mul_(x).sigmoid_().mul_(x)


def _gelu(x: torch.Tensor) -> torch.Tensor:
    import torch.nn.functional as F

    return F.gelu(x)


def _relu(x: torch.Tensor) -> torch.Tensor:
    return x.relu()


def _silu(x: torch.Tensor) -> torch.Tensor:
    import torch.nn.functional as F

    return F.silu(x)


# The first four are one formula (Hendrycks and Gimpel 2016, equation 2).
ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "gelu_new": _gelu_tanh,
    "gelu_fast": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "gelu_python_tanh": _gelu_tanh,
    "gelu": _gelu,
    "relu": _relu,
    "silu": _silu,
    "swish": _silu,
}
