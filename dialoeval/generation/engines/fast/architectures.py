"""The architectures that the engine implements, by the `model_type` of transformers' configurations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from dialoeval.generation.engines.fast import gpt2, llama

if TYPE_CHECKING:
    import torch

    from dialoeval.generation.engines.fast.network import Forward, Network


class Architecture(Protocol):
    """What a module of an architecture has."""

    hidden: Forward

    def unsupported(self, config: Any) -> str | None:
        """Return one sentence on what `hidden` does not implement of a transformers configuration, or None."""
        ...

    def read(self, model: Any, prepare: Callable[[torch.Tensor], torch.Tensor], window: int) -> Network:
        """Return the network of a transformers model for `window` positions; `prepare` gives a matrix its dtype."""
        ...


ARCHITECTURES: dict[str, Architecture] = {"gpt2": gpt2, "llama": llama}


def unsupported(config: Any) -> str | None:
    """Return one sentence on why the engine cannot run a model of this transformers configuration, or None."""
    if config.model_type not in ARCHITECTURES:
        return f"the fast engine knows the GPT-2 and Llama architectures, not {config.model_type!r}"
    return ARCHITECTURES[config.model_type].unsupported(config)
