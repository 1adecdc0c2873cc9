"""Access to the Hugging Face Hub: quiet, without waiting if offline, with errors that say what to do."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from dialoeval.errors import UserError, chain, first_line

_WITHOUT_HUB = "these work without the Hub: tiny, smollm2 (dialoeval fetch smollm2), or the path of a folder"


@lru_cache(maxsize=1)
def hub_answers() -> bool:
    """Return whether the Hub's host name resolves, or a proxy is set, which resolves it itself.

    Without a network, transformers would retry each file for half a minute.
    """
    from huggingface_hub.constants import ENDPOINT, is_offline_mode

    if is_offline_mode():
        return False
    if getproxies().keys() & {"https", "all"}:
        return True
    endpoint = urlsplit(ENDPOINT)
    try:
        socket.getaddrinfo(endpoint.hostname, endpoint.port or 443)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence progress bars, hints and retry notices of transformers and huggingface_hub; runs show their own."""
    import transformers.utils.logging

    reports: Any = transformers.utils.logging  # parts of it are untyped
    hub = logging.getLogger("huggingface_hub")
    level, hub_level, bars = reports.get_verbosity(), hub.level, reports.is_progress_bar_enabled()
    reports.set_verbosity_error()
    hub.setLevel(logging.ERROR)
    reports.disable_progress_bar()
    try:
        yield
    finally:
        reports.set_verbosity(level)
        hub.setLevel(hub_level)
        if bars:
            reports.enable_progress_bar()


@contextlib.contextmanager
def explained(path: str, location: str) -> Iterator[None]:
    """Turn the errors of loading a model into a `UserError` that says what to do.

    Args:
        path: the model as the user named it.
        location: its folder, or its name on the Hub.

    Raises:
        UserError: instead of the exceptions of transformers, huggingface_hub, safetensors, tokenizers and the network.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        sentence = _sentence(path, location, error)
        if sentence is None:
            raise
        raise UserError(sentence) from error


def _sentence(path: str, location: str, error: Exception) -> str | None:
    """Return the message for an error, or None if the error is not about the model."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RemoteEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    links = chain(error)

    def among(*kinds: type) -> bool:
        return any(isinstance(link, kinds) for link in links)

    if isinstance(error, MemoryError) or "out of memory" in str(error):
        return None
    if os.path.isdir(location):
        return f"{path} is not a model that can be loaded: {first_line(error)}"
    if among(GatedRepoError):
        return f"{path} is gated: accept its terms on the Hub, then set HF_TOKEN"
    if among(RevisionNotFoundError):
        return f"{path} has no such revision on the Hub: check model.revision"
    if among(RepositoryNotFoundError):
        return f"the Hub has no model {path}, or it is private (then set HF_TOKEN); check the name"
    if among(HFValidationError):
        return f"{path} is neither a local folder nor a valid Hub name"
    refusal = next(
        (link for link in links if isinstance(link, HfHubHTTPError) and not isinstance(link, RemoteEntryNotFoundError)),
        None,
    )
    if refusal is not None:
        status = refusal.response.status_code
        advice = "check HF_TOKEN" if status in (401, 403) else "try again later"
        return f"cannot load the model {path}: the Hub answers with HTTP status {status} ({advice})"
    if among(RemoteEntryNotFoundError):
        return f"{path} is not a model that can be loaded: {first_line(error)}"
    if among(LocalEntryNotFoundError, ConnectionError) or any(
        type(link).__module__.split(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2") for link in links
    ):
        return f"cannot load the model {path}: it is not on this machine, and the Hub cannot be reached; {_WITHOUT_HUB}"
    if isinstance(error, OSError | ValueError | KeyError | RuntimeError | ImportError) or type(error).__module__.split(
        "."
    )[0] in ("safetensors", "huggingface_hub", "tokenizers", "safetensors_rust"):
        return f"{path} is not a model that can be loaded: {first_line(error)}"
    return None
