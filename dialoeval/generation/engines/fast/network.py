"""A model as the engine runs it: its shape, its weights and the forward function of its architecture."""

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
    """Sizes and settings of a network.

    Attributes:
        architecture: "gpt2" or "llama".
        kv_heads: heads of keys and values; each serves heads / kv_heads query heads.
        epsilon: of the normalisation layers.
        activation: transformers' name of the feed-forward activation function.
        scales: factor of the attention scores in each layer.
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
    """The forward function of an architecture."""

    def __call__(
        self,
        network: Network,
        tokens: torch.Tensor,
        positions: torch.Tensor,
        attend: Attend,
        rows: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the final normalised hidden states (rows, width).

        Args:
            network: shape and weights.
            tokens: (n,) token ids.
            positions: (n,) their positions in the sequences.
            attend: the attention function, which depends on the cache.
            rows: indices of the hidden states to return; None: all. The last layer skips the feed-forward of others.
        """
        ...


@dataclass(frozen=True)
class Network:
    """A shape, its weights, named as in the architecture's checkpoints, and its forward function.

    Matrices are (in, out) in the compute dtype. Embeddings, norms and the output head "head" (vocabulary, width) are in
    float32.
    """

    shape: Shape
    weights: dict[str, torch.Tensor]
    forward: Forward
    packed: dict[str, torch.Tensor] = field(default_factory=dict)  # by layer, for this process only: see `packing`

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of matrices, keys and values."""
        return self.weights["probe"].dtype

    @property
    def device(self) -> torch.device:
        """The device of all weights."""
        return self.weights["head"].device

    def parameters(self) -> int:
        """Return the number of parameters; tied weights count once."""
        return sum({w.data_ptr(): w.numel() for w in self.weights.values()}.values())

    def hidden(
        self, tokens: torch.Tensor, positions: torch.Tensor, attend: Attend, rows: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the final hidden states; see `Forward`."""
        return self.forward(self, tokens, positions, attend, rows)

    def linear(self, x: torch.Tensor, name: str) -> torch.Tensor:
        """Return layer `name` applied to x (rows, in): (rows, out) in float32, computed in the matrix's dtype."""
        import torch

        weight, bias = self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias")
        x = x.to(weight.dtype)
        if name in self.packed:
            return product(x, self.packed[name], bias).float()
        return (torch.mm(x, weight) if bias is None else torch.addmm(bias, x, weight)).float()

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the logits (rows, vocabulary) of hidden states (rows, width), in float32."""
        import torch

        head = self.weights["head"]
        if hidden.device.type == "cpu":
            # The vocabulary as rows: 1.5 times as fast with MKL as the hidden states as rows, on the CPUs measured.
            return torch.mm(head, hidden.t()).t().contiguous()
        return torch.nn.functional.linear(hidden, head)

    def logprobs(self, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the log-probabilities (rows,), in float32, of targets (rows,) from hidden states (rows, width)."""
        import torch

        head = self.weights["head"]
        if hidden.device.type == "cpu":
            # Blocks of the vocabulary, whose logits stay in the CPU cache: writing and reading all logits would double
            # the time.
            columns = hidden.t().contiguous()
            sums = [torch.mm(block, columns).logsumexp(dim=0) for block in torch.split(head, _VOCABULARY_BLOCK)]
            target_logits = (head[targets] * hidden).sum(dim=1)
            return (target_logits - torch.stack(sums).logsumexp(dim=0)).clamp(max=0.0)
        logits = torch.nn.functional.linear(hidden, head)
        return logits.gather(1, targets[:, None])[:, 0] - logits.logsumexp(dim=-1)


def low_precision(weight: torch.Tensor, dtype: torch.dtype, native: bool) -> torch.Tensor:
    """Return the weight in the compute dtype, or rounded to it but stored in float32 if `native` is False."""
    return weight.to(dtype) if native else weight.to(dtype).to(weight.dtype)


def product(x: torch.Tensor, packed: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Return x (rows, in) times a packed matrix (see `packing`) plus bias (out,), in x's dtype."""
    import torch

    result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
    return result
