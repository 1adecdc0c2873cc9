"""State-dict files that replace a model's weights, such as the checkpoints that the DialoGPT authors released."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from dialoeval.errors import UserError, first_line

_WRAPPER = re.compile(r"^(?:module|_orig_mod|base_model|model)\.")  # DataParallel, torch.compile, peft, Lightning


def load_release_weights(model: Any, path: str) -> None:
    """Load a state-dict file (``.pkl``, ``.bin``, ``.pt`` or ``.safetensors``) into a model.

    The DialoGPT release's ``.pkl`` files are in half precision, hold the output head as ``lm_head.decoder.weight``, and
    have names with or without ``transformer.``. Prefixes of wrappers, such as ``module.``, are removed.

    Raises:
        UserError: the file does not exist, is not a state dict of tensors, or is of another architecture or size.
    """
    import torch

    if not Path(path).is_file():
        raise UserError(f"the weights file {path} does not exist")
    try:
        if path.endswith(".safetensors"):
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle raises nearly anything
        raise UserError(f"{path} is not a readable weights file: {first_line(error)}") from error
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()
    ):
        raise UserError(f"{path} is not a state dict: expected a dictionary of tensors")
    model_state = model.state_dict()
    renamed: dict[str, Any] = {}
    for name, tensor in state.items():
        if name.endswith((".attn.bias", ".masked_bias")):  # buffers of old versions
            continue
        known = _release_name(name, model.base_model_prefix, model_state)
        if known in renamed:
            raise UserError(f"{path} does not fit the model: two of its names stand for {known!r}, one is {name!r}")
        renamed[known] = tensor
    unknown = sorted(set(renamed) - set(model_state))
    tied = "lm_head.weight" if model.config.tie_word_embeddings else None
    missing = sorted(set(model_state) - set(renamed) - {tied})
    if unknown or missing:
        difference = f"has an unknown name {unknown[0]!r}" if unknown else f"lacks {missing[0]!r}"
        raise UserError(
            f"{path} does not fit the model: it {difference} ({len(unknown)} unknown, {len(missing)} missing names)"
        )
    for name, tensor in renamed.items():
        if tensor.shape != model_state[name].shape:
            raise UserError(
                f"{path} does not fit the model: {name} is {tuple(tensor.shape)} instead of "
                f"{tuple(model_state[name].shape)}"
            )
    head, embedding = (renamed.get(name) for name in ("lm_head.weight", "transformer.wte.weight"))
    if tied and head is not None and embedding is not None and not torch.equal(head, embedding):
        raise UserError(f"{path} does not fit the model: its output head differs from its token embedding")
    model.load_state_dict({name: tensor.to(model_state[name].dtype) for name, tensor in renamed.items()}, strict=False)


def _release_name(name: str, body: str, model_state: dict[str, Any]) -> str:
    """Return the model's name of a weight, without the prefixes of wrappers and with or without that of the body."""
    original, body = name, f"{body}."
    while True:
        if name == "lm_head.decoder.weight":
            return "lm_head.weight"
        for known in (name, body + name, name.removeprefix(body)):
            if known in model_state:
                return known
        shorter = _WRAPPER.sub("", name, count=1)
        if shorter == name:
            return original
        name = shorter
