"""Loading models: embedded ones, local folders, hub names, and the DialoGPT release's weight files."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from dialoeval.config import EngineConfig, ModelConfig
from dialoeval.errors import UserError
from dialoeval.files import sha256_file
from dialoeval.paths import assets_dir, cache_dir

EMBEDDED = ("tiny", "tiny-backward")


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory, in float32, in evaluation mode, on its device.

    Attributes:
        eos_id: the token that ends a reply. window: positions there are (prompt and reply together; the decoder's,
            for an encoder-decoder model). identity: what tells these weights and this tokenizer from all others.
    """

    model: Any
    tokenizer: Any
    name: str
    eos_id: int
    window: int
    device: str
    encoder_decoder: bool
    identity: dict[str, Any]


def load(
    path: str, *, revision: str | None, weights: str | None, engine: EngineConfig, kind: str = "lm"
) -> LoadedModel:
    """Load a language model (`kind="lm"`) or sequence classifier (`kind="classifier"`).

    Safetensors are preferred, no remote code is run, and pickled weights are read with ``weights_only=True``.

    Raises:
        UserError: not found, gated, no network, not a model folder, broken.
    """
    place = resolve(path)
    device = choose_device(engine.device)
    with _explained(path):
        model, commit = _load_weights(place, revision, kind)
        tokenizer = load_tokenizer(path, revision)
    if weights:
        load_release_weights(model, weights)
    eos_id = tokenizer.eos_token_id
    if eos_id is None:
        raise UserError(f"the tokenizer of {path} has no end-of-text token, which ends a reply")
    config = model.config
    identity = {
        "path": path,
        "weights": sha256_file(weights) if weights else _weights_identity(place, commit),
        "tokenizer": _tokenizer_identity(tokenizer),
    }
    return LoadedModel(
        model.eval().to(device),
        tokenizer,
        path,
        eos_id,
        _window(config),
        device,
        bool(getattr(config, "is_encoder_decoder", False)),
        identity,
    )


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
    with _explained(path):
        return AutoTokenizer.from_pretrained(place, revision=revision, trust_remote_code=False)


def load_for_training(model: ModelConfig) -> tuple[Any, Any]:
    """(model in float32 on the CPU, tokenizer) of a checkpoint to fine-tune.

    Raises:
        UserError: as `load`.
    """
    with _explained(model.path):
        loaded, _ = _load_weights(resolve(model.path), model.revision, "lm")
    if model.weights:
        load_release_weights(loaded, model.weights)
    return loaded, load_tokenizer(model.path, model.revision)


def load_release_weights(model: Any, path: str) -> None:
    """Load a state-dict file into a model: the DialoGPT release's ``.pkl`` (half precision, output head under
    ``lm_head.decoder.weight``, names with or without ``transformer.``), ``.bin``, ``.pt`` or ``.safetensors``.

    Raises:
        UserError: missing, not a state dict of tensors, or of another architecture or size.
    """
    import pickle

    import torch

    if not Path(path).is_file():
        raise UserError(f"there is no weights file {path}")
    try:
        if path.endswith(".safetensors"):
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise UserError(f"{path} is not a plain file of weights: {str(error).splitlines()[0]}") from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UserError(f"{path} is not a state dict: expected a dictionary of tensors")
    ours = model.state_dict()
    renamed = {_release_name(name, ours): tensor for name, tensor in state.items()}
    renamed = {name: tensor for name, tensor in renamed.items() if not name.endswith((".attn.bias", ".masked_bias"))}
    unknown = sorted(set(renamed) - set(ours))
    tied = "lm_head.weight" if model.config.tie_word_embeddings else None
    missing = sorted(set(ours) - set(renamed) - {tied})
    if unknown or missing:
        what = f"does not know {unknown[0]!r}" if unknown else f"misses {missing[0]!r}"
        raise UserError(
            f"{path} does not fit the model: it {what} ({len(unknown)} unknown, {len(missing)} missing names)"
        )
    for name, tensor in renamed.items():
        if tensor.shape != ours[name].shape:
            raise UserError(
                f"{path} does not fit the model: {name} is {tuple(tensor.shape)}, the model's {tuple(ours[name].shape)}"
            )
    model.load_state_dict({name: tensor.to(ours[name].dtype) for name, tensor in renamed.items()}, strict=False)


def _release_name(name: str, ours: dict[str, Any]) -> str:
    name = name.removeprefix("module.")
    if name == "lm_head.decoder.weight":
        return "lm_head.weight"
    return name if name in ours or f"transformer.{name}" not in ours else f"transformer.{name}"


def _load_weights(place: str, revision: str | None, kind: str) -> tuple[Any, str | None]:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoModelForSequenceClassification

    common = {"revision": revision, "trust_remote_code": False}
    config = AutoConfig.from_pretrained(place, **common)
    if kind == "classifier":
        family = AutoModelForSequenceClassification
    else:
        family = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    with _silent():
        model = family.from_pretrained(place, config=config, dtype=torch.float32, **common)
    return model, getattr(config, "_commit_hash", None)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """No loading bars or hints: the run has its own progress."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)


@contextlib.contextmanager
def _explained(path: str) -> Iterator[None]:
    """Turn what can go wrong with a model into one sentence that says what to do."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        yield
    except UserError:
        raise
    except GatedRepoError as error:
        raise UserError(f"{path} is gated: accept its terms on the hub, then set HF_TOKEN") from error
    except RevisionNotFoundError as error:
        raise UserError(f"{path} has no such revision on the hub: check model.revision") from error
    except RepositoryNotFoundError as error:
        raise UserError(f"the hub has no model {path} (or it is private: set HF_TOKEN)") from error
    except (OSError, ConnectionError) as error:
        raise UserError(
            f"cannot load the model {path}: not found here, and the hub cannot be reached or has no such model "
            f"({_first_line(error)}). Models that need no hub: tiny, smollm2, or a folder (model.path=FOLDER)"
        ) from error
    except (ValueError, KeyError, RuntimeError, ImportError) as error:
        raise UserError(f"{path} is not a model that can be loaded: {_first_line(error)}") from error
    except Exception as error:
        if type(error).__module__.startswith(("safetensors", "huggingface_hub", "tokenizers")):
            raise UserError(f"{path} is not a model that can be loaded: {_first_line(error)}") from error
        raise


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]


def _window(config: Any) -> int:
    for name in ("n_positions", "max_position_embeddings"):
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


def _tokenizer_identity(tokenizer: Any) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    text = backend.to_str() if backend is not None else json.dumps(tokenizer.get_vocab(), sort_keys=True)
    special = f"{tokenizer.eos_token_id} {getattr(tokenizer, 'chat_template', None)}"
    return "sha256:" + hashlib.sha256(f"{text}\x00{special}".encode("utf-8", "surrogatepass")).hexdigest()
