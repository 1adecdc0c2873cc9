"""Adapters of low rank (Hu et al. 2021), trained in place of the weights and saved in the format of peft."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import Any

from dialoeval.config import LoraConfig, ModelConfig
from dialoeval.errors import UserError, first_line
from dialoeval.models.adapters import find_adapter
from dialoeval.models.loading import EMBEDDED, resolve


def check_lora(model: ModelConfig) -> None:
    """Check, before anything is loaded, that adapters can be trained on a model.

    Raises:
        UserError: peft is not installed, or the adapter's files could not name the model.
    """
    if importlib.util.find_spec("peft") is None:
        raise UserError("training.lora.rank needs peft: pip install 'dialoeval[lora]'")
    if model.weights:
        raise UserError(
            f"training.lora.rank needs a base model that an adapter can name, but model.weights={model.weights} "
            "replaces the weights of one: save them as a model folder first"
        )
    if find_adapter(resolve(model.path)):
        raise UserError(f"{model.path} is an adapter itself: training.lora.rank needs its base model, or a merged one")


def add_lora(model: Any, settings: LoraConfig, base: ModelConfig) -> Any:
    """Return a model whose weights are frozen, with new adapters that are trained.

    Raises:
        UserError: the model has no layers of these names, or peft knows none for its architecture.
    """
    import peft

    config = peft.LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=settings.targets,
        task_type="CAUSAL_LM",
        base_model_name_or_path=_base_name(base),
        revision=base.revision,
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # peft adapts fan_in_fan_out to GPT-2's layers, and says so
            wrapped: Any = peft.get_peft_model(model, config)
    except ValueError as error:
        raise UserError(f"training.lora.targets does not fit {base.path}: {first_line(error)}") from error
    config.base_model_name_or_path = _base_name(base)  # get_peft_model puts the folder of an embedded model there
    return wrapped.float()


def trained_tensors(model: Any) -> dict[str, Any]:
    """Return the state of a model; of a model with adapters only what is trained."""
    state: dict[str, Any] = model.state_dict()
    frozen = {name for name, weight in model.named_parameters() if not weight.requires_grad}
    if not frozen:
        return state
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    return {name: tensor for name, tensor in state.items() if name in trained}


def is_lora(model: Any) -> bool:
    """Return whether a model has adapters."""
    return hasattr(model, "peft_config")


def _base_name(base: ModelConfig) -> str:
    """Return the name by which an adapter finds its base: of an embedded model, on the Hub, or a whole path."""
    folder = Path(base.path).expanduser()
    return str(folder.resolve()) if folder.is_dir() and base.path not in EMBEDDED else base.path
