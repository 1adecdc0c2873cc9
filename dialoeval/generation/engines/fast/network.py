"""What the decoding loops need of a model: its shape, its weights, and one way to call either architecture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch

_VOCABULARY_BLOCK = 2048  # tokens

# attend(layer, queries (rows, heads, head_dim), keys and values (rows, kv_heads, head_dim), scale)
# -> (rows, heads * head_dim)
Attend = Callable[[int, "torch.Tensor", "torch.Tensor", "torch.Tensor", float], "torch.Tensor"]


@dataclass(frozen=True)
class Shape:
    """Sizes and switches of a network.

    Attributes:
        architecture: "gpt2" or "llama".
        kv_heads: heads of keys and values; each serves heads / kv_heads query heads.
        scales: factor of the attention scores, a layer.
        activation: transformers' name of the feed-forward non-linearity.
    """

    architecture: str
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    epsilon: float
    activation: str
    scales: tuple[float, ...]


class Forward(Protocol):
    """An architecture as a function of a network's weights."""

    def __call__(
        self,
        network: Network,
        tokens: torch.Tensor,
        positions: torch.Tensor,
        attend: Attend,
        rows: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return final hidden states (rows, width), normalised, of tokens (n,) at positions (n,).

        Args:
            attend: attention, which is the caller's.
            rows: numbers of the rows to return, None: all. The last layer computes its feed-forward for them alone.
        """
        ...


@dataclass(frozen=True)
class Network:
    """A shape and its weights, named as in the architecture's checkpoints, and the function that runs them.

    Matrices are (in, out) and in the compute dtype; embeddings, norms and the output head "head" (vocabulary, width)
    are float32.
    """

    shape: Shape
    weights: dict[str, torch.Tensor]
    forward: Forward
    packed: dict[str, torch.Tensor] = field(default_factory=dict)  # by layer: see `packing`; of this process alone

    @property
    def dtype(self) -> torch.dtype:
        """Of the matrices, and so of keys and values."""
        return self.weights["probe"].dtype

    @property
    def device(self) -> torch.device:
        """Of all weights."""
        return self.weights["head"].device

    def parameters(self) -> int:
        """Return the number of parameters, a head tied to the embedding counted once."""
        return sum({w.data_ptr(): w.numel() for w in self.weights.values()}.values())

    def hidden(
        self, tokens: torch.Tensor, positions: torch.Tensor, attend: Attend, rows: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return what `forward` gives for this network."""
        return self.forward(self, tokens, positions, attend, rows)

    def linear(self, x: torch.Tensor, name: str) -> torch.Tensor:
        """Return x (rows, in) times the matrix of layer `name`, plus its bias if it has one: (rows, out), in float32.

        The product is in the matrix's dtype.
        """
        import torch

        weight, bias = self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias")
        x = x.to(weight.dtype)
        if name in self.packed:
            return product(x, self.packed[name], bias).float()
        return (torch.mm(x, weight) if bias is None else torch.addmm(bias, x, weight)).float()

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return float32 scores (rows, vocabulary) of hidden states (rows, width)."""
        import torch

        head = self.weights["head"]
        if hidden.device.type == "cpu":
            # The wide side first: half as fast again as rows first with MKL on the CPUs that were measured.
            return torch.mm(head, hidden.t()).t().contiguous()
        return torch.nn.functional.linear(hidden, head)

    def logprobs(self, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return float32 log-probabilities (rows,) of target tokens (rows,) after hidden states (rows, width)."""
        import torch

        head = self.weights["head"]
        if hidden.device.type == "cpu":
            # The vocabulary in blocks whose scores stay in the cache: to write and read all of them takes as long again
            # as the product does.
            columns = hidden.t().contiguous()
            sums = [torch.mm(block, columns).logsumexp(dim=0) for block in torch.split(head, _VOCABULARY_BLOCK)]
            own = (head[targets] * hidden).sum(dim=1)
            return (own - torch.stack(sums).logsumexp(dim=0)).clamp(max=0.0)
        logits = torch.nn.functional.linear(hidden, head)
        return logits.gather(1, targets[:, None])[:, 0] - logits.logsumexp(dim=-1)


def low_precision(weight: torch.Tensor, dtype: torch.dtype, native: bool) -> torch.Tensor:
    """Return the weight in the compute dtype, or rounded to it but in float32 if the device lacks its arithmetic."""
    return weight.to(dtype) if native else weight.to(dtype).to(weight.dtype)


def product(x: torch.Tensor, packed: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Return x (rows, in) times a packed matrix (see `packing`), plus bias (out,); in x's dtype."""
    import torch

    result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
    return result
