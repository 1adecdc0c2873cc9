"""The identity of a model: hashes of its weights and tokenizer, and its end tokens."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from dialoeval.files import sha256_file, sha256_json


@dataclass(frozen=True)
class ModelIdentity:
    """Hashes that identify a model's weights and tokenizer.

    Attributes:
        path: the model as the user named it.
        weights: ``commit:`` and the Hub commit, or ``sha256:`` and a hash of the weight files.
        tokenizer: ``sha256:`` and a hash of the tokenizer, its end token and its chat template.
        end_tokens: ids of the tokens that end a reply.
        start: id of a decoder's first token, if its generation_config.json names another than config.json.
    """

    path: str
    weights: str
    tokenizer: str
    end_tokens: tuple[int, ...]
    start: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the identity as JSON values."""
        return {"path": self.path, **self.without_path()}

    def without_path(self) -> dict[str, Any]:
        """Return the identity without the path, as JSON values: equal after the model is moved."""
        start = {} if self.start is None else {"start": self.start}
        return {"weights": self.weights, "tokenizer": self.tokenizer, "end_tokens": list(self.end_tokens), **start}


def folder_or_commit(location: str, commit: str | None) -> str:
    """Return the SHA-256 of a folder's weight files and config.json, or the Hub commit of a Hub model."""
    folder = Path(location)
    if not folder.is_dir():
        return f"commit:{commit}"
    files = sorted(
        file
        for file in folder.iterdir()
        if file.suffix in (".safetensors", ".bin", ".pt") or file.name == "config.json"
    )
    parts = [(file.name, _file_hash(str(file), file.stat().st_size, file.stat().st_mtime_ns)) for file in files]
    return "sha256:" + hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def state_dict_hash(weights: str, config: Any) -> str:
    """Return the SHA-256 of a state-dict file, with a hash of the configuration of the model that loads it."""
    settings = config.to_diff_dict()
    for name in ("_name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype"):
        settings.pop(name, None)  # does not change the computation
    architecture = sha256_json(json.loads(json.dumps(settings, default=str, sort_keys=True)))[:16]
    return f"sha256:{sha256_file(weights)} over {architecture}"


def tokenizer_hash(tokenizer: Any) -> str:
    """Return the SHA-256 of a tokenizer with its end token and chat template."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    text = backend.to_str() if backend is not None else json.dumps(tokenizer.get_vocab(), sort_keys=True)
    special = f"{tokenizer.eos_token_id} {getattr(tokenizer, 'chat_template', None)}"
    return "sha256:" + hashlib.sha256(f"{text}\x00{special}".encode("utf-8", "surrogatepass")).hexdigest()


@lru_cache(maxsize=256)
def _file_hash(path: str, size: int, modified: int) -> str:
    return sha256_file(path)
