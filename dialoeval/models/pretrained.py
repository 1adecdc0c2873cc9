"""Reading a model's files with transformers: no remote code, no retries without a network, no random weights."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import Any

from dialoeval.errors import UserError
from dialoeval.models.hub import hub_answers, quiet


class Head(StrEnum):
    """What a model is loaded as; the value is what messages call it."""

    language_model = "language model"  # causal or encoder-decoder, as its config.json says
    causal_lm = "causal language model"
    classifier = "classifier"
    encoder = "text encoder"  # the body without a head


def read_commit(place: str, revision: str | None) -> str | None:
    """Return the commit that a hub model's revision stands for now, so that all its files are read at this one.

    For a folder, return the revision as it is, which `read_config` refuses.
    """
    if Path(place).is_dir():
        return revision
    from transformers.utils.hub import cached_file

    with quiet():
        file = cached_file(place, "config.json", **_where(place, revision))
    return revision if file is None else Path(file).parent.name  # without one, reading the configuration says why


def read_config(place: str, revision: str | None) -> Any:
    """Read config.json.

    Raises:
        UserError: a revision is given for a folder.
    """
    from transformers import AutoConfig

    with quiet():
        return AutoConfig.from_pretrained(place, **_source(place, revision))


def read_generation_settings(place: str, revision: str | None) -> Any:
    """Read generation_config.json; None if the model has none."""
    from transformers import GenerationConfig

    try:
        with quiet():
            return GenerationConfig.from_pretrained(place, **_where(place, revision))
    except OSError:
        return None


def read_tokenizer(place: str, revision: str | None) -> Any:
    """Read the tokenizer.

    Raises:
        ValueError: the model has no tokenizer files.
    """
    from transformers import AutoTokenizer

    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(place, **_source(place, revision))
    if len(set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens)) < 2:
        # Without files, transformers makes up a tokenizer of special tokens (and a space, for T5).
        raise ValueError("it has no tokenizer files")
    return tokenizer


def read_model(place: str, revision: str | None, head: Head) -> Any:
    """Read a model in float32, on the CPU.

    Raises:
        ValueError: a weight is missing or of another size than config.json says, or there are more layers.
    """
    import torch

    config = read_config(place, revision)
    with quiet():
        model, report = _family(head, config).from_pretrained(
            place,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # to say which, below: what transformers raises does not
            **_source(place, revision),
        )
    if mismatched := sorted(report["mismatched_keys"]):
        name, stored, configured = mismatched[0]
        raise ValueError(f"{name} is {tuple(stored)} in its weights, {tuple(configured)} by its config.json")
    if deeper := sorted(key for key in report["unexpected_keys"] if _layer(key) >= _depth(config, key)):
        layers = _depth(config, deeper[0])
        raise ValueError(f"its weights have {deeper[0]}, its config.json says that there are {layers} layers")
    missing = sorted(report["missing_keys"])
    if head == Head.encoder:  # many are stored without their pooler, which nothing here asks for
        missing = [name for name in missing if "pooler" not in name.split(".")]
    if missing:
        # transformers would fill these with random numbers
        raise ValueError(f"its weights lack {missing[0]} ({len(missing)} names): not a {head} checkpoint")
    return model


def _family(head: Head, config: Any) -> Any:
    import transformers

    if head == Head.language_model:
        return transformers.AutoModelForSeq2SeqLM if config.is_encoder_decoder else transformers.AutoModelForCausalLM
    return {
        Head.causal_lm: transformers.AutoModelForCausalLM,
        Head.classifier: transformers.AutoModelForSequenceClassification,
        Head.encoder: transformers.AutoModel,
    }[head]


def _source(place: str, revision: str | None) -> dict[str, Any]:
    """Arguments of every ``from_pretrained`` that could run a model's own code."""
    return {**_where(place, revision), "trust_remote_code": False}


def _where(place: str, revision: str | None) -> dict[str, Any]:
    """Arguments that say which files of a model are meant. Without a network the hub's cache is asked at once, not
    after retries."""
    local = Path(place).is_dir()
    if local and revision is not None:
        raise UserError(f"revision {revision!r} is for models of the hub: {place} is a folder")
    offline = {} if local or hub_answers() else {"local_files_only": True}
    return {"revision": revision, **offline}


def _layer(key: str) -> int:
    """The number of the layer that a weight belongs to, counted from 0; -1 for all others."""
    numbers = [int(part) for part in key.split(".") if part.isdigit()]
    return numbers[0] if numbers else -1


def _depth(config: Any, key: str) -> float:
    """The number of layers of the stack that a weight belongs to: a decoder's may differ from its encoder's."""
    names: tuple[str, ...] = ("num_hidden_layers",)
    if "decoder" in key.split("."):
        names = ("decoder_layers", "num_decoder_layers", "num_hidden_layers")
    depths = (getattr(config.get_text_config(), name, None) for name in names)
    return next((depth for depth in depths if isinstance(depth, int)), math.inf)
