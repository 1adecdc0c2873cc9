"""Folders: the configuration, the packaged assets, the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def conf_dir() -> Path:
    """Return the Hydra configuration folder: in the package of a wheel, at the top level of a checkout."""
    packaged = _PACKAGE / "conf"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "conf"


def assets_dir() -> Path:
    """Return the folder of the packaged data: the embedded models and the paper's tables."""
    return _PACKAGE / "assets"


def cache_dir() -> Path:
    """Return the user's cache folder, which may not exist yet; ``DIALOEVAL_CACHE`` overrides it."""
    if override := os.environ.get("DIALOEVAL_CACHE"):
        return Path(override)
    import platformdirs

    return Path(platformdirs.user_cache_dir("dialoeval"))
