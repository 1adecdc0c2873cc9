"""Loading models: embedded ones, local folders, hub names, and the DialoGPT release's weight files."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from dialoeval.config import EngineConfig, ModelConfig
from dialoeval.errors import UserError
from dialoeval.files import sha256_file, sha256_json
from dialoeval.models.hub import explained, hub_answers, quiet
from dialoeval.models.state_dict import load_release_weights
from dialoeval.paths import assets_dir, cache_dir

EMBEDDED = ("tiny", "tiny-backward")


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory, in float32, in evaluation mode, on its device.

    Attributes:
        model: None where only its tokenizer and limits are wanted (another program runs it).
        eos_ids: the tokens that end a reply; most models have one.
        window: positions there are (prompt and reply together; each apart, for an encoder-decoder model).
        identity: what tells these weights and this tokenizer from all others.
        commit: of a hub model, what its revision stood for; None for a folder.
    """

    model: Any
    tokenizer: Any
    name: str
    eos_ids: tuple[int, ...]
    window: int
    device: str
    encoder_decoder: bool
    identity: dict[str, Any]
    commit: str | None = None

    @property
    def eos_id(self) -> int:
        """The tokenizer's own end token."""
        return self.eos_ids[0]


def load(
    path: str, *, revision: str | None, weights: str | None, engine: EngineConfig, kind: str = "lm"
) -> LoadedModel:
    """Load a language model (`kind="lm"`), a sequence classifier (`kind="classifier"`), or what another program that
    runs the model needs to know of it (`kind="described"`: no weights are read into memory).

    Safetensors are preferred, no remote code is run, and pickled weights are read with ``weights_only=True``.

    Raises:
        UserError: not found, gated, no network, not a model folder, broken.
    """
    place = resolve(path)
    device = choose_device(engine.device) if kind != "described" else engine.device
    with explained(path, place):
        commit = _commit(place, revision)
        if kind == "described":
            model, config = None, _load_config(place, commit)
            settings, vocabulary = _generation_settings(place, commit), config.get_text_config().vocab_size
        else:
            model = _load_weights(place, commit, kind)
            config, settings = model.config, getattr(model, "generation_config", None)
            vocabulary = model.get_input_embeddings().weight.shape[0]
    tokenizer = load_tokenizer(path, commit)
    if tokenizer.eos_token_id is None:
        raise UserError(f"the tokenizer of {path} has no end-of-text token, which ends a reply")
    if len(tokenizer) > vocabulary:
        raise UserError(
            f"{path} is not a model that can be loaded: its tokenizer has {len(tokenizer)} tokens, its embedding "
            f"{vocabulary}"
        )
    if weights:
        load_release_weights(model, weights)
    eos_ids = _end_tokens(settings, tokenizer, vocabulary)
    if weights:
        of_weights = f"sha256:{sha256_file(weights)} over {_config_hash(config)}"
    else:
        of_weights = _weights_identity(place, commit)
    identity = {
        "path": path,
        "weights": of_weights,
        "tokenizer": _tokenizer_identity(tokenizer),
        "end_tokens": list(eos_ids),
    }
    if model is not None:
        model = model.eval().to(device)
    encoder_decoder = bool(getattr(config, "is_encoder_decoder", False))
    return LoadedModel(model, tokenizer, path, eos_ids, _window(config), device, encoder_decoder, identity, commit)


def resolve(path: str) -> str:
    """A model's place: the packaged or cached folder of an embedded name, a local folder, or a hub name as it is.

    Raises:
        UserError: an embedded model that is not there yet, or a path that is no folder.
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
    """``auto``: the GPU where there is one, else the CPU.

    Raises:
        UserError: a GPU is asked for and there is none, or the name is unknown.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"engine.device={device}, but PyTorch sees no GPU here (`dialoeval doctor` says more)")
    if device != "cpu" and not device.startswith("cuda"):
        raise UserError(f"engine.device must be auto, cpu, cuda or cuda:N, not {device!r}")
    return device


def load_tokenizer(path: str, revision: str | None = None) -> Any:
    """A model's tokenizer.

    Raises:
        UserError: as `load`.
    """
    from transformers import AutoTokenizer

    place = resolve(path)
    with explained(path, place), quiet():
        tokenizer = AutoTokenizer.from_pretrained(place, **_source(place, revision))
    if len(set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens)) < 2:
        # where there are no files, transformers makes up a tokenizer of special tokens (and a space, for T5)
        raise UserError(f"{path} is not a model that can be loaded: it has no tokenizer files")
    return tokenizer


def load_for_training(model: ModelConfig) -> tuple[Any, Any]:
    """(model in float32 on the CPU, tokenizer) of a checkpoint to fine-tune.

    Raises:
        UserError: as `load`.
    """
    place = resolve(model.path)
    with explained(model.path, place):
        loaded = _load_weights(place, model.revision, "lm")
    if model.weights:
        load_release_weights(loaded, model.weights)
    return loaded, load_tokenizer(model.path, model.revision)


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


def _commit(place: str, revision: str | None) -> str | None:
    """The commit that a hub model's revision stands for now: all its files are then read at this one. For a folder,
    the revision as it is, which is an error elsewhere."""
    if Path(place).is_dir():
        return revision
    from transformers.utils import cached_file

    with quiet():
        found = cached_file(place, "config.json", **_where(place, revision))
    return revision if found is None else Path(found).parent.name  # without one, reading the configuration says why


def _load_config(place: str, revision: str | None) -> Any:
    from transformers import AutoConfig

    with quiet():
        return AutoConfig.from_pretrained(place, **_source(place, revision))


def _load_weights(place: str, revision: str | None, kind: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoModelForSequenceClassification

    config = _load_config(place, revision)
    if kind == "classifier":
        family = AutoModelForSequenceClassification
    else:
        family = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    with quiet():
        model, report = family.from_pretrained(
            place,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # to say which, below: what transformers raises does not
            **_source(place, revision),
        )
    if mismatched := sorted(report["mismatched_keys"]):
        name, theirs, ours = mismatched[0]
        raise ValueError(f"{name} is {tuple(theirs)} in its weights, {tuple(ours)} by its config.json")
    if deeper := sorted(key for key in report["unexpected_keys"] if _layer(key) >= _depth(config, key)):
        layers = _depth(config, deeper[0])
        raise ValueError(f"its weights have {deeper[0]}, its config.json says that there are {layers} layers")
    if missing := sorted(report["missing_keys"]):
        # transformers would fill these with random numbers
        raise ValueError(f"its weights lack {missing[0]} ({len(missing)} names): not a {kind} checkpoint")
    return model


def _layer(key: str) -> int:
    """The number of the layer that a weight belongs to, counted from 0; -1 for all others."""
    numbers = [int(part) for part in key.split(".") if part.isdigit()]
    return numbers[0] if numbers else -1


def _depth(config: Any, key: str) -> float:
    """How many layers the stack has that a weight belongs to: a decoder's number may differ from its encoder's."""
    names = ("num_hidden_layers",)
    if "decoder" in key.split("."):
        names = ("decoder_layers", "num_decoder_layers", "num_hidden_layers")
    found = (getattr(config.get_text_config(), name, None) for name in names)
    return next((value for value in found if isinstance(value, int)), math.inf)


def _end_tokens(settings: Any, tokenizer: Any, vocabulary: int) -> tuple[int, ...]:
    """The tokenizer's end token, then those of the vocabulary that the generation settings name beside it (a default
    that was never changed may name one that there is not)."""
    saved = getattr(settings, "eos_token_id", None)
    saved = saved if isinstance(saved, list) else [] if saved is None else [saved]
    first = tokenizer.eos_token_id
    return (first, *(token for token in saved if token != first and 0 <= token < vocabulary))


def _generation_settings(place: str, revision: str | None) -> Any:
    """generation_config.json of a model that is not loaded; None where there is none."""
    from transformers import GenerationConfig

    try:
        with quiet():
            return GenerationConfig.from_pretrained(place, **_where(place, revision))
    except OSError:
        return None


def _window(config: Any) -> int:
    config = config.get_text_config()
    for name in ("n_positions", "max_position_embeddings", "max_seq_len", "seq_length"):
        if isinstance(value := getattr(config, name, None), int):
            return value
    return 1_000_000  # relative positions (T5): no limit of the architecture


def _weights_identity(place: str, commit: str | None) -> str:
    """A hub commit, or the SHA-256 over the weight files of a folder."""
    folder = Path(place)
    if not folder.is_dir():
        return f"commit:{commit}"
    files = sorted(
        p for p in folder.iterdir() if p.suffix in (".safetensors", ".bin", ".pt") or p.name == "config.json"
    )
    parts = [(p.name, _file_hash(str(p), p.stat().st_size, p.stat().st_mtime_ns)) for p in files]
    return "sha256:" + hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@lru_cache(maxsize=256)
def _file_hash(path: str, size: int, modified: int) -> str:
    return sha256_file(path)


def _config_hash(config: Any) -> str:
    """Of the settings that shape the computation: no names, versions or places."""
    settings = config.to_diff_dict()
    for name in ("_name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype"):
        settings.pop(name, None)
    return sha256_json(json.loads(json.dumps(settings, default=str, sort_keys=True)))[:16]


def _tokenizer_identity(tokenizer: Any) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    text = backend.to_str() if backend is not None else json.dumps(tokenizer.get_vocab(), sort_keys=True)
    special = f"{tokenizer.eos_token_id} {getattr(tokenizer, 'chat_template', None)}"
    return "sha256:" + hashlib.sha256(f"{text}\x00{special}".encode("utf-8", "surrogatepass")).hexdigest()
