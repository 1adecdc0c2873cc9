"""Where things live: the configuration folder, the packaged assets, the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def conf_dir() -> Path:
    """The Hydra configuration folder: inside the package in a wheel, at the top level in a checkout."""
    packaged = _PACKAGE / "conf"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "conf"


def assets_dir() -> Path:
    """Data the package carries: the embedded models and the paper's tables."""
    return _PACKAGE / "assets"


def cache_dir() -> Path:
    """The user's cache (indexes, converted models); ``DIALOEVAL_CACHE`` overrides it. Not created here."""
    if override := os.environ.get("DIALOEVAL_CACHE"):
        return Path(override)
    import platformdirs

    return Path(platformdirs.user_cache_dir("dialoeval"))
