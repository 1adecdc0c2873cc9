"""Loading models: embedded ones, local folders, hub names, and the DialoGPT release's weight files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dialoeval.config import EngineConfig, ModelConfig
from dialoeval.errors import UserError
from dialoeval.models.fingerprint import ModelIdentity, folder_or_commit, state_dict_hash, tokenizer_hash
from dialoeval.models.hub import explained
from dialoeval.models.pretrained import (
    Head,
    read_commit,
    read_config,
    read_generation_settings,
    read_model,
    read_tokenizer,
)
from dialoeval.models.state_dict import load_release_weights
from dialoeval.paths import assets_dir, cache_dir

EMBEDDED = ("tiny", "tiny-backward")


@dataclass(frozen=True)
class ModelDescription:
    """What another program that runs a model needs to know of it.

    Attributes:
        tokenizer: of transformers.
        name: the model as the user named it.
        eos_ids: the tokens that end a reply, the tokenizer's own first; most models have one.
        window: context length in tokens (prompt and reply together; each apart for an encoder-decoder model).
        encoder_decoder: whether it is an encoder-decoder model.
        identity: what distinguishes its weights and tokenizer from all others.
        commit: of a hub model, what its revision stands for; None for a folder.
    """

    tokenizer: Any
    name: str
    eos_ids: tuple[int, ...]
    window: int
    encoder_decoder: bool
    identity: ModelIdentity
    commit: str | None

    @property
    def eos_id(self) -> int:
        """The tokenizer's own end token."""
        return self.eos_ids[0]


@dataclass(frozen=True)
class LoadedModel(ModelDescription):
    """A model in memory, in float32, in evaluation mode.

    Attributes:
        model: of transformers.
        device: where it is: cpu, cuda or cuda:N.
    """

    model: Any
    device: str


def load_model(path: str, *, revision: str | None, weights: str | None, engine: EngineConfig) -> LoadedModel:
    """Load a language model.

    Safetensors are preferred, no remote code is run, and pickled weights are read with ``weights_only=True``.

    Args:
        path: an embedded name, a folder, or a name on the hub.
        revision: a branch, tag or commit of the hub.
        weights: a state-dict file that replaces the model's own weights.
        engine: names the device.

    Raises:
        UserError: not found, gated, no network, not a model folder, broken.
    """
    return _load(path, revision, weights, engine.device, Head.language_model)


def load_classifier(path: str, *, revision: str | None, weights: str | None, engine: EngineConfig) -> LoadedModel:
    """Load a sequence classifier; see `load_model`.

    Raises:
        UserError: as `load_model`.
    """
    return _load(path, revision, weights, engine.device, Head.classifier)


def describe_model(path: str, *, revision: str | None) -> ModelDescription:
    """Describe a language model that another program runs: its weights are not read into memory.

    Raises:
        UserError: as `load_model`.
    """
    place = resolve(path)
    with explained(path, place):
        commit = read_commit(place, revision)
        config = read_config(place, commit)
        settings = read_generation_settings(place, commit)
    vocabulary = config.get_text_config().vocab_size
    return _description(path, commit, config, settings, vocabulary, folder_or_commit(place, commit))


def load_encoder(path: str) -> tuple[Any, Any]:
    """Load (encoder without a head, tokenizer) in float32, in evaluation mode, on the GPU if there is one.

    Raises:
        UserError: as `load_model`.
    """
    return _load_for_inference(path, Head.encoder)


def load_causal_lm(path: str) -> tuple[Any, Any]:
    """Load (causal language model, tokenizer) in float32, in evaluation mode, on the GPU if there is one.

    Raises:
        UserError: as `load_model`.
    """
    return _load_for_inference(path, Head.causal_lm)


def load_for_training(model: ModelConfig) -> tuple[Any, Any]:
    """Load (language model, tokenizer) of a checkpoint to fine-tune, in float32 on the CPU.

    Raises:
        UserError: as `load_model`.
    """
    place = resolve(model.path)
    with explained(model.path, place):
        network = read_model(place, model.revision, Head.language_model)
    if model.weights:
        load_release_weights(network, model.weights)
    return network, load_tokenizer(model.path, model.revision)


def load_tokenizer(path: str, revision: str | None = None) -> Any:
    """Load a model's tokenizer.

    Raises:
        UserError: as `load_model`.
    """
    place = resolve(path)
    with explained(path, place):
        return read_tokenizer(place, revision)


def resolve(path: str) -> str:
    """Return where a model is: the packaged or cached folder of an embedded name, a local folder, or a name on the hub.

    Raises:
        UserError: an embedded model that is not on this machine yet, or a path that is not a model folder.
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
        if not (local / "config.json").is_file():
            raise UserError(f"{path} is not a model folder: it has no config.json")
        return str(local)
    if path.startswith((".", "/", "~")) or path.count("/") > 1:
        raise UserError(f"there is no folder {path}")
    return path


def choose_device(device: str) -> str:
    """Return the device; ``auto`` is the GPU if there is one, else the CPU.

    Raises:
        UserError: PyTorch sees no GPU, or the name is unknown.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"engine.device={device}, but PyTorch sees no GPU here (`dialoeval doctor` says more)")
    if device != "cpu" and not device.startswith("cuda"):
        raise UserError(f"engine.device must be auto, cpu, cuda or cuda:N, not {device!r}")
    return device


def _load_for_inference(path: str, head: Head) -> tuple[Any, Any]:
    place, device = resolve(path), choose_device("auto")
    with explained(path, place):
        model = read_model(place, None, head)
    return model.eval().to(device), load_tokenizer(path)


def _load(path: str, revision: str | None, weights: str | None, device: str, head: Head) -> LoadedModel:
    place, device = resolve(path), choose_device(device)
    with explained(path, place):
        commit = read_commit(place, revision)
        model = read_model(place, commit, head)
    if weights:
        load_release_weights(model, weights)
        weights_identity = state_dict_hash(weights, model.config)
    else:
        weights_identity = folder_or_commit(place, commit)
    settings = getattr(model, "generation_config", None)
    vocabulary = model.get_input_embeddings().weight.shape[0]
    about = _description(path, commit, model.config, settings, vocabulary, weights_identity)
    return LoadedModel(
        about.tokenizer,
        about.name,
        about.eos_ids,
        about.window,
        about.encoder_decoder,
        about.identity,
        about.commit,
        model.eval().to(device),
        device,
    )


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
    eos_ids = _end_tokens(settings, tokenizer, vocabulary)
    identity = ModelIdentity(path, weights_identity, tokenizer_hash(tokenizer), eos_ids)
    encoder_decoder = bool(getattr(config, "is_encoder_decoder", False))
    return ModelDescription(tokenizer, path, eos_ids, _window(config), encoder_decoder, identity, commit)


def _end_tokens(settings: Any, tokenizer: Any, vocabulary: int) -> tuple[int, ...]:
    """The tokenizer's end token, then the others that the generation settings name. Ids beyond the vocabulary are left
    out: a default that was never changed may name one."""
    saved = getattr(settings, "eos_token_id", None)
    if not isinstance(saved, list):
        saved = [] if saved is None else [saved]
    first = tokenizer.eos_token_id
    return (first, *(token for token in saved if token != first and 0 <= token < vocabulary))


def _window(config: Any) -> int:
    config = config.get_text_config()
    for name in ("n_positions", "max_position_embeddings", "max_seq_len", "seq_length"):
        if isinstance(value := getattr(config, name, None), int):
            return value
    return 1_000_000  # relative positions (T5): no limit of the architecture
