"""Folders: the configuration, the packaged assets, the user's cache."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from dialoeval.errors import UserError

_PACKAGE = Path(__file__).resolve().parent


def conf_dir() -> Path:
    """Return the Hydra configuration folder: in the package of a wheel, at the top level of a checkout."""
    packaged = _PACKAGE / "conf"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "conf"


def assets_dir() -> Path:
    """Return the folder of the packaged data: the embedded models and the paper's tables."""
    return _PACKAGE / "assets"


def cache_dir() -> Path:
    """Return the user's cache folder, which may not exist yet; ``DIALOEVAL_CACHE`` overrides it.

    Without a home folder that can be written (a container's user), it is a folder beside temporary files.

    Raises:
        UserError: that folder is another user's, or cannot be made.
    """
    if override := os.environ.get("DIALOEVAL_CACHE"):
        return Path(override)
    import platformdirs

    try:
        folder = Path(platformdirs.user_cache_dir("dialoeval"))
    except RuntimeError:  # no HOME, and no entry for the user
        return _temporary_cache()
    if not folder.is_absolute():  # older releases of platformdirs leave "~" as it is
        return _temporary_cache()
    nearest = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    return folder if nearest == folder or os.access(nearest, os.W_OK) else _temporary_cache()


def _temporary_cache() -> Path:
    """Return this user's own folder beside temporary files; compiled code is loaded from it, so nobody else's.

    Raises:
        UserError: the folder is another user's, or cannot be made.
    """
    folder = Path(tempfile.gettempdir()) / f"dialoeval-{os.getuid() if hasattr(os, 'getuid') else 'cache'}"
    advice = "there is no home folder to keep files in; DIALOEVAL_CACHE names another cache folder"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise UserError(f"cannot use {folder}: {error.strerror or error}; {advice}") from error
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or not stat.S_ISDIR(status.st_mode)):
        raise UserError(f"{folder} is another user's: {advice}")
    return folder
