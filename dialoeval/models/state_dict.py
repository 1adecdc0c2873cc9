"""Weight files beside a model folder, such as the checkpoints that the DialoGPT authors released."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dialoeval.errors import UserError, first_line


def load_release_weights(model: Any, path: str) -> None:
    """Load a state-dict file into a model: the DialoGPT release's ``.pkl`` (half precision, output head under
    ``lm_head.decoder.weight``, names with or without ``transformer.``), ``.bin``, ``.pt`` or ``.safetensors``.

    Raises:
        UserError: missing, not a state dict of tensors, or of another architecture or size.
    """
    import torch

    if not Path(path).is_file():
        raise UserError(f"there is no weights file {path}")
    try:
        if path.endswith(".safetensors"):
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # of a damaged pickle: nearly anything
        raise UserError(f"{path} is not a plain file of weights: {first_line(error)}") from error
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()
    ):
        raise UserError(f"{path} is not a state dict: expected a dictionary of tensors")
    own = model.state_dict()
    renamed = {_release_name(name, own): tensor for name, tensor in state.items()}
    renamed = {name: tensor for name, tensor in renamed.items() if not name.endswith((".attn.bias", ".masked_bias"))}
    unknown = sorted(set(renamed) - set(own))
    tied = "lm_head.weight" if model.config.tie_word_embeddings else None
    missing = sorted(set(own) - set(renamed) - {tied})
    if unknown or missing:
        difference = f"does not know {unknown[0]!r}" if unknown else f"misses {missing[0]!r}"
        raise UserError(
            f"{path} does not fit the model: it {difference} ({len(unknown)} unknown, {len(missing)} missing names)"
        )
    for name, tensor in renamed.items():
        if tensor.shape != own[name].shape:
            raise UserError(
                f"{path} does not fit the model: {name} is {tuple(tensor.shape)}, the model's {tuple(own[name].shape)}"
            )
    head, embedding = (renamed.get(name) for name in ("lm_head.weight", "transformer.wte.weight"))
    if tied and head is not None and embedding is not None and not torch.equal(head, embedding):
        raise UserError(f"{path} does not fit the model: its output head is not its token embedding, as the model's is")
    model.load_state_dict({name: tensor.to(own[name].dtype) for name, tensor in renamed.items()}, strict=False)


def _release_name(name: str, own: dict[str, Any]) -> str:
    """transformers' name of a weight: without the prefixes of data-parallel training, with that of the body."""
    name = name.removeprefix("module.")
    if name not in own:
        name = name.removeprefix("model.")
    if name == "lm_head.decoder.weight":
        return "lm_head.weight"
    return name if name in own or f"transformer.{name}" not in own else f"transformer.{name}"
