"""The key-value cache, in static slots.

A slot is one context with its rows: the beams, the sampled candidates, or the one greedy reply. All rows share the
slot's keys and values. The prompt comes first; the token that row w generates at step t is at position
prompt_length + t * rows + w. A bias of 0 or -inf selects what a row attends to: the prompt and the row's own
ancestors. So one prefill serves all rows, and reordering beams moves rows of the bias, never keys or values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from dialoeval.generation.engines.fast.network import Attend, Network

ALIGNMENT = 64  # positions: the capacity is a multiple of it, since CUDA's attention kernels need aligned bias rows


class Cache:
    """Keys and values of `slots` contexts with `rows` rows and `capacity` positions each."""

    def __init__(self, network: Network, slots: int, rows: int, capacity: int):
        import torch

        shape, dtype, device = network.shape, network.dtype, network.device
        self.rows = rows
        self.shared = shape.heads // shape.kv_heads  # query heads per key head
        capacity = -(-capacity // ALIGNMENT) * ALIGNMENT
        size = (slots, shape.kv_heads, capacity, shape.head_dim)
        self.keys = [_zeros(size, dtype, device) for _ in range(shape.layers)]
        self.values = [_zeros(size, dtype, device) for _ in range(shape.layers)]
        self.bias = torch.full((slots, rows, capacity), float("-inf"), dtype=dtype, device=device)

    def prefill(self, first: int, lengths: torch.Tensor, width: int) -> Attend:
        """Return the attention function for prompts, which stores their keys and values from slot `first` on.

        Right padding follows every real token, so causal attention ignores it. Its keys and values are overwritten
        later or masked by the bias.

        Args:
            first: slot of the first prompt.
            lengths: (prompts,) lengths without padding, on the device.
            width: length with padding.
        """
        import torch

        count = len(lengths)
        seen = torch.arange(self.bias.shape[-1], device=self.bias.device) < lengths[:, None]  # (prompts, capacity)
        self.bias[first : first + count] = torch.where(seen, 0.0, float("-inf"))[:, None].to(self.bias.dtype)

        def attend(layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float) -> torch.Tensor:
            k, v = (x.view(count, width, *x.shape[1:]).transpose(1, 2).to(self.bias.dtype) for x in (k, v))
            self.keys[layer][first : first + count, :, :width] = k
            self.values[layer][first : first + count, :, :width] = v
            return causal(q, k, v, scale)

        return attend

    def step(self, positions: torch.Tensor, extent: int, rows: torch.Tensor | None = None) -> Attend:
        """Return the attention function for one new token per row, which stores its key and value.

        Args:
            positions: (slots, rows) cache positions of the new tokens in the first slots.
            extent: number of positions in use by any of these slots, new tokens included.
            rows: numbers (slot * rows + row) of the rows to compute; None: all.
        """
        import torch

        count, width = positions.shape
        slot = torch.arange(count, device=positions.device)[:, None].expand(count, width).reshape(-1)
        position = positions.reshape(-1)
        if rows is not None:
            slot, position = slot[rows], position[rows]
        shared = self.shared
        bias = self.bias[:count, None, :, :extent]  # (slots, 1, rows, extent)
        if shared > 1:
            bias = bias.repeat(1, 1, shared, 1)  # (slots, 1, shared * rows, extent)

        def attend(layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float) -> torch.Tensor:
            keys, values, dtype = self.keys[layer], self.values[layer], self.bias.dtype
            keys[slot, :, position] = k.to(dtype)
            values[slot, :, position] = v.to(dtype)
            heads, kv_heads, head_dim = q.shape[1], k.shape[1], q.shape[2]
            if rows is not None:
                q = q.new_zeros(count * width, heads, head_dim).index_copy_(0, rows, q)
            q = q.view(count, width, kv_heads, shared, head_dim).permute(0, 2, 3, 1, 4)
            q = q.reshape(count, kv_heads, shared * width, head_dim).to(dtype)
            y = torch.nn.functional.scaled_dot_product_attention(
                q,
                keys[:count, :, :extent],
                values[:count, :, :extent],
                attn_mask=bias,
                scale=scale,
            )  # (slots, kv_heads, shared * rows, head_dim)
            y = y.view(count, kv_heads, shared, width, head_dim).permute(0, 3, 1, 2, 4)
            y = y.reshape(count * width, heads * head_dim)
            return y if rows is None else y[rows]

        return attend

    def open(self, positions: torch.Tensor) -> None:
        """Let each row of the first slots attend to its new token, at positions (slots, rows)."""
        self.bias[: len(positions)].scatter_(2, positions[:, :, None], 0.0)

    def reorder(self, parents: torch.Tensor) -> None:
        """Let each row of the first slots continue the row `parents` (slots, rows)."""
        count = len(parents)
        index = parents[:, :, None].expand(-1, -1, self.bias.shape[2])
        self.bias[:count] = self.bias[:count].gather(1, index)

    def move(self, source: int, target: int, extent: int) -> None:
        """Copy slot `source`, which uses `extent` positions, over slot `target`."""
        for store in (*self.keys, *self.values):
            store[target, :, :extent] = store[source, :, :extent]
        self.bias[target] = self.bias[source]


def causal(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float) -> torch.Tensor:
    """Return causal attention (batch * width, heads * head_dim).

    Args:
        q: (batch * width, heads, head_dim).
        k: (batch, kv_heads, width, head_dim).
        v: (batch, kv_heads, width, head_dim).
        scale: factor of the attention scores.
    """
    import torch

    batch, kv_heads, width, head_dim = k.shape
    heads = q.shape[1]
    if heads != kv_heads:
        k, v = (x.repeat_interleave(heads // kv_heads, dim=1) for x in (k, v))
    q = q.view(batch, width, heads, head_dim).transpose(1, 2).to(k.dtype)
    y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale)
    return y.transpose(1, 2).reshape(batch * width, heads * head_dim)


def _zeros(size: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Return zeros, since masked values must be finite too. On CPU, pages take memory only once they are written."""
    import math

    import numpy as np
    import torch

    if device.type != "cpu":
        return torch.zeros(size, dtype=dtype, device=device)
    lazy = np.zeros(math.prod(size) * dtype.itemsize, dtype=np.uint8)
    return torch.from_numpy(lazy).view(dtype).view(size)
