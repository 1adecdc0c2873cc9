"""The supported architectures, by the `model_type` of transformers' configurations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from dialoeval.generation.engines.fast import gpt2, llama

if TYPE_CHECKING:
    import torch

    from dialoeval.generation.engines.fast.network import Forward, Network


class Architecture(Protocol):
    """The module of an architecture."""

    hidden: Forward

    def unsupported(self, config: Any) -> str | None:
        """Return None if `hidden` implements a transformers configuration, else the reason in one sentence."""
        ...

    def read(self, model: Any, prepare: Callable[[torch.Tensor], torch.Tensor], window: int) -> Network:
        """Return the network of a transformers model.

        Args:
            model: a causal language model of this architecture.
            prepare: converts a matrix to the compute dtype.
            window: context length in tokens.
        """
        ...


ARCHITECTURES: dict[str, Architecture] = {"gpt2": gpt2, "llama": llama}


def unsupported(config: Any) -> str | None:
    """Return None if the engine supports a transformers configuration, else the reason in one sentence."""
    if config.model_type not in ARCHITECTURES:
        return f"the fast engine supports the GPT-2 and Llama architectures, not {config.model_type!r}"
    return ARCHITECTURES[config.model_type].unsupported(config)
