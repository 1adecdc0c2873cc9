"""Reading of model files with transformers, without remote code, retries while offline, or random weights."""

from __future__ import annotations

import math
import re
from enum import StrEnum
from pathlib import Path
from typing import Any

from dialoeval.errors import UserError
from dialoeval.models.adapters import apply_adapter, find_adapter
from dialoeval.models.hub import hub_answers, quiet

# Names that wrappers put before those of weights: DataParallel, torch.compile, and models of peft.
WRAPPERS = r"^(?:module\.|_orig_mod\.|base_model\.model\.|base_model\.)+"


class Head(StrEnum):
    """The class a model is loaded as. The values are the names in messages."""

    language_model = "language model"  # causal or encoder-decoder, as its config.json says
    causal_lm = "causal language model"
    classifier = "classifier"
    encoder = "text encoder"  # the body without a head


def read_commit(location: str, revision: str | None) -> str | None:
    """Return the current commit of a Hub model's revision, so that all its files are read at one commit.

    For a folder, return the revision unchanged, which `read_config` refuses.
    """
    if Path(location).is_dir():
        return revision
    from transformers.utils.hub import cached_file

    with quiet():
        file = cached_file(location, "config.json", **_revision_arguments(location, revision))
    return revision if file is None else Path(file).parent.name  # None: read_config says why


def read_config(location: str, revision: str | None) -> Any:
    """Read config.json: the base's for an adapter.

    Raises:
        UserError: a revision is given for a folder.
    """
    from transformers import AutoConfig

    if adapter := find_adapter(location):
        _revision_arguments(location, revision)
        return read_config(adapter.base, adapter.revision)
    with quiet():
        return AutoConfig.from_pretrained(location, **_safe_arguments(location, revision))


def read_generation_settings(location: str, revision: str | None) -> Any:
    """Read generation_config.json, or return None if the model has none."""
    from transformers import GenerationConfig

    if adapter := find_adapter(location):
        return read_generation_settings(adapter.base, adapter.revision)
    try:
        with quiet():
            return GenerationConfig.from_pretrained(location, **_revision_arguments(location, revision))
    except OSError:
        return None


def written_settings(settings: Any) -> dict[str, Any]:
    """Return what a checkpoint's generation settings say, without ids of tokens and what changes no reply."""
    return {
        name: value
        for name, value in sorted(settings.to_diff_dict().items())
        if value is not None and name not in _NO_SETTINGS and not name.startswith(("_", "output_"))
    }


# Entries of generation_config.json that are no decoding settings; end tokens are always taken.
_NO_SETTINGS = {"bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "transformers_version",
                "use_cache", "return_dict_in_generate", "cache_implementation", "cache_config"}  # fmt: skip


def read_tokenizer(location: str, revision: str | None) -> Any:
    """Read the tokenizer: the base's for an adapter without one.

    Raises:
        ValueError: the model has no tokenizer files.
    """
    from transformers import AutoTokenizer

    if (adapter := find_adapter(location)) and not (adapter.folder / "tokenizer_config.json").is_file():
        return read_tokenizer(adapter.base, adapter.revision)
    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(location, **_safe_arguments(location, revision))
    if len(set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens)) < 2:
        # Without files, transformers invents a tokenizer of special tokens (and a space, for T5).
        raise ValueError("it has no tokenizer files")
    return tokenizer


def read_model(location: str, revision: str | None, head: Head) -> Any:
    """Read a model in float32 on the CPU; an adapter is merged into its base.

    Raises:
        ValueError: the weights and config.json disagree: a weight is missing or of another shape, or layers are extra.
        UserError: an adapter does not fit its base, or needs peft.
    """
    config = read_config(location, revision)
    if adapter := find_adapter(location):
        return apply_adapter(read_model(adapter.base, adapter.revision, head), adapter)
    model, report = _read_weights(location, revision, head, config, None)
    if report["missing_keys"] and any(re.search(WRAPPERS, key) for key in report["unexpected_keys"]):
        model, report = _read_weights(location, revision, head, config, {WRAPPERS: ""})
    if getattr(model, "_hf_peft_config_loaded", False):
        raise ValueError("it has adapter files on the Hub: download it and its base, and use the folder")
    if mismatched := sorted(report["mismatched_keys"]):
        name, stored, configured = mismatched[0]
        raise ValueError(f"{name} is {tuple(stored)} in its weights, {tuple(configured)} by its config.json")
    if deeper := sorted(key for key in report["unexpected_keys"] if _layer(key) >= _depth(config, key)):
        layers = _depth(config, deeper[0])
        raise ValueError(f"its weights have {deeper[0]}, its config.json says {layers} layers")
    missing = sorted(report["missing_keys"])
    if head == Head.encoder:  # many are stored without the pooler, which is never used
        missing = [name for name in missing if "pooler" not in name.split(".")]
    if missing:
        # transformers would initialize these at random
        others = sorted(report["unexpected_keys"])
        have = f", and have {others[0]}" if others else ""
        raise ValueError(f"its weights lack {missing[0]} ({len(missing)} names){have}: not a {head} checkpoint")
    return model


def _read_weights(
    location: str, revision: str | None, head: Head, config: Any, names: dict[str, str] | None
) -> tuple[Any, dict[str, Any]]:
    """Return a model and what transformers reports of its weights; `names` are patterns of names and replacements."""
    import torch

    with quiet():
        model, report = _family(head, config).from_pretrained(
            location,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # `read_model` names the weight; the error of transformers does not
            key_mapping=names,
            **_safe_arguments(location, revision),
        )
    return model, report


def _family(head: Head, config: Any) -> Any:
    import transformers

    if head == Head.language_model:
        return transformers.AutoModelForSeq2SeqLM if config.is_encoder_decoder else transformers.AutoModelForCausalLM
    return {
        Head.causal_lm: transformers.AutoModelForCausalLM,
        Head.classifier: transformers.AutoModelForSequenceClassification,
        Head.encoder: transformers.AutoModel,
    }[head]


def _safe_arguments(location: str, revision: str | None) -> dict[str, Any]:
    """Return the arguments of a ``from_pretrained`` that could run a model's own code."""
    return {**_revision_arguments(location, revision), "trust_remote_code": False}


def _revision_arguments(location: str, revision: str | None) -> dict[str, Any]:
    """Return the ``from_pretrained`` arguments for a revision; offline, only the cache is asked, without retries."""
    local = Path(location).is_dir()
    if local and revision is not None:
        raise UserError(f"revision {revision!r} is for Hub models: {location} is a folder")
    offline = {} if local or hub_answers() else {"local_files_only": True}
    return {"revision": revision, **offline}


def _layer(key: str) -> int:
    """Return the index of the layer that a weight belongs to, or -1 if it is outside the layers."""
    numbers = [int(part) for part in key.split(".") if part.isdigit()]
    return numbers[0] if numbers else -1


def _depth(config: Any, key: str) -> float:
    """Return the number of layers of a weight's stack: those of encoder and decoder may differ."""
    names: tuple[str, ...] = ("num_hidden_layers",)
    if "decoder" in key.split("."):
        names = ("decoder_layers", "num_decoder_layers", "num_hidden_layers")
    depths = (getattr(config.get_text_config(), name, None) for name in names)
    return next((depth for depth in depths if isinstance(depth, int)), math.inf)
