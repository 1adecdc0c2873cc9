"""Llama as a function of its weights: RMSNorm, rotary positions, SwiGLU (Touvron et al. 2023, section 2.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dialoeval.generation.engines.fast.activations import ACTIVATIONS
from dialoeval.generation.engines.fast.network import Attend, Network, Shape

if TYPE_CHECKING:
    import torch

_STATIC_ROPE = ("default", "linear", "llama3", "yarn")  # frequencies that do not depend on the sequence's length


def unsupported(config: Any) -> str | None:
    """Return None if `hidden` implements a LlamaConfig, else the reason in one sentence."""
    rope = (config.rope_parameters or {}).get("rope_type", "default")
    if rope not in _STATIC_ROPE:
        return f"rotary positions of type {rope!r} are not implemented"
    if config.hidden_act not in ACTIVATIONS:
        return f"the activation function {config.hidden_act!r} is not implemented"
    return None


def read(model: Any, prepare: Callable[[torch.Tensor], torch.Tensor], window: int) -> Network:
    """Return the network of a transformers LlamaForCausalLM; see `Architecture.read`."""
    import torch

    config = model.config
    shape = Shape(
        architecture="llama",
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        head_dim=config.head_dim,
        vocabulary=model.lm_head.weight.shape[0],
        epsilon=config.rms_norm_eps,
        activation=config.hidden_act,
        scales=(config.head_dim**-0.5,) * config.num_hidden_layers,
    )
    weights = {}
    for name, tensor in model.model.state_dict().items():
        if "_proj." not in name:
            weights[name] = tensor
        elif name.endswith(".weight"):
            weights[name] = prepare(tensor.t().contiguous())  # nn.Linear holds (out, in)
        else:
            weights[name] = prepare(tensor)
    positions = torch.arange(window, device=model.device)[None]
    cosine, sine = model.model.rotary_emb(torch.zeros(1, device=model.device), positions)  # (1, window, head_dim)
    weights["rope.cos"], weights["rope.sin"] = cosine[0], sine[0]
    weights["head"] = model.lm_head.weight.detach()
    weights["probe"] = weights["layers.0.self_attn.q_proj.weight"]
    return Network(shape, weights, hidden)


def hidden(
    network: Network,
    tokens: torch.Tensor,
    positions: torch.Tensor,
    attend: Attend,
    rows: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return final hidden states (rows, width) of tokens (n,) at positions (n,); see `Forward`."""
    import torch

    w, shape, project = network.weights, network.shape, network.linear

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return w[f"{name}.weight"] * (x * (x.pow(2).mean(-1, keepdim=True) + shape.epsilon).rsqrt())

    cosine, sine = w["rope.cos"][positions][:, None], w["rope.sin"][positions][:, None]  # (rows, 1, head_dim)

    def rotate(x: torch.Tensor) -> torch.Tensor:
        first, second = x.chunk(2, dim=-1)
        return x * cosine + torch.cat((-second, first), dim=-1) * sine

    x = w["embed_tokens.weight"][tokens]  # (rows, width)
    for layer, scale in enumerate(shape.scales):
        name = f"layers.{layer}"
        inner = norm(x, f"{name}.input_layernorm")
        q = project(inner, f"{name}.self_attn.q_proj").view(len(x), shape.heads, shape.head_dim)
        k = project(inner, f"{name}.self_attn.k_proj").view(len(x), shape.kv_heads, shape.head_dim)
        v = project(inner, f"{name}.self_attn.v_proj").view(len(x), shape.kv_heads, shape.head_dim)
        attended = attend(layer, rotate(q), rotate(k), v, scale)
        if rows is not None and layer == shape.layers - 1:
            x, attended = x[rows], attended[rows]
        x = x + project(attended, f"{name}.self_attn.o_proj")
        inner = norm(x, f"{name}.post_attention_layernorm")
        gate = ACTIVATIONS[shape.activation](project(inner, f"{name}.mlp.gate_proj"))
        x = x + project(gate * project(inner, f"{name}.mlp.up_proj"), f"{name}.mlp.down_proj")
    return norm(x, "norm")
