"""GPT-2 as a function of its weights: pre-normalised transformer decoder blocks (Radford et al. 2019, section 2.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dialoeval.generation.engines.fast.activations import ACTIVATIONS
from dialoeval.generation.engines.fast.network import Attend, Network, Shape

if TYPE_CHECKING:
    import torch


def unsupported(config: Any) -> str | None:
    """Return None if `hidden` implements a GPT2Config, else the reason in one sentence."""
    if config.add_cross_attention:
        return "GPT-2 with cross-attention is not implemented"
    if config.activation_function not in ACTIVATIONS:
        return f"the activation function {config.activation_function!r} is not implemented"
    return None


def read(model: Any, prepare: Callable[[torch.Tensor], torch.Tensor], window: int) -> Network:
    """Return the network of a transformers GPT2LMHeadModel; see `Architecture.read`.

    In float32 on the model's own device the weights are the model's own tensors, not copies.
    """
    config = model.config
    heads, layers = config.num_attention_heads, config.num_hidden_layers
    head_dim = config.hidden_size // heads
    scale = head_dim**-0.5 if config.scale_attn_weights else 1.0
    by_layer = config.scale_attn_by_inverse_layer_idx
    shape = Shape(
        architecture="gpt2",
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_dim=head_dim,
        vocabulary=model.lm_head.weight.shape[0],
        epsilon=config.layer_norm_epsilon,
        activation=config.activation_function,
        scales=tuple(scale / (layer + 1) if by_layer else scale for layer in range(layers)),
    )
    weights = {}
    for name, tensor in model.transformer.state_dict().items():
        matrix = name.startswith("h.") and ".ln_" not in name
        weights[name] = prepare(tensor) if matrix else tensor
    weights["head"] = model.lm_head.weight.detach()
    weights["probe"] = weights["h.0.attn.c_attn.weight"]
    return Network(shape, weights, hidden)


def hidden(
    network: Network,
    tokens: torch.Tensor,
    positions: torch.Tensor,
    attend: Attend,
    rows: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return final hidden states (rows, width) of tokens (n,) at positions (n,); see `Forward`."""
    import torch.nn.functional as F

    w, shape, project = network.weights, network.shape, network.linear
    width = shape.heads * shape.head_dim

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.layer_norm(x, (width,), w[f"{name}.weight"], w[f"{name}.bias"], shape.epsilon)

    x = w["wte.weight"][tokens] + w["wpe.weight"][positions]  # (rows, width)
    for layer, scale in enumerate(shape.scales):
        name = f"h.{layer}"
        qkv = project(norm(x, f"{name}.ln_1"), f"{name}.attn.c_attn")  # (rows, 3 * width)
        q, k, v = qkv.view(len(x), 3, shape.heads, shape.head_dim).unbind(1)
        attended = attend(layer, q, k, v, scale)
        if rows is not None and layer == shape.layers - 1:
            x, attended = x[rows], attended[rows]
        x = x + project(attended, f"{name}.attn.c_proj")
        inner = ACTIVATIONS[shape.activation](project(norm(x, f"{name}.ln_2"), f"{name}.mlp.c_fc"))
        x = x + project(inner, f"{name}.mlp.c_proj")
    return norm(x, "ln_f")
