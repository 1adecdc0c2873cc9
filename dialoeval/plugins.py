"""Plugins: metrics, datasets, engines, executors and configuration folders of other installed packages.

A package offers them by entry points, one group for each kind::

    [project.entry-points."dialoeval.metrics"]
    my_metric = "mypkg.metric"

Names are read without imports; a plugin is imported when it is used. A built-in of the same name always wins: callers
look among their own modules first.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dialoeval.errors import UserError, first_line

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

KINDS = ("metrics", "datasets", "engines", "executors", "conf")


@dataclass(frozen=True)
class Plugin:
    """An entry point of an installed package.

    Attributes:
        kind: one of `KINDS`.
        name: what the user writes.
        package: distribution that offers it, as ``name==version``; part of identities and signatures.
        target: module, or object in a module (``pkg.module:Name``), that `load` returns; for a "conf" plugin, the
            package with the folders of the groups.
    """

    kind: str
    name: str
    package: str
    target: str

    def load(self) -> Any:
        """Import the plugin.

        Raises:
            UserError: the import fails; the message names the package and the cause.
        """
        from importlib.metadata import EntryPoint

        try:
            return EntryPoint(self.name, self.target, f"dialoeval.{self.kind}").load()
        except Exception as error:  # a plugin may raise anything while it is imported
            raise UserError(
                f"the plugin {self.name!r} of {self.package} cannot be imported: {type(error).__name__}: "
                f"{first_line(error)} (fix it, or uninstall {self.package.partition('==')[0]})"
            ) from error

    def fault(self) -> str | None:
        """Return an error message, or None if the plugin can be used."""
        if self.kind == "conf":
            return None if self.folder() else f"{self.package} has no configuration package {self.target}"
        try:
            self.load()
        except UserError as error:
            return str(error)
        return None

    def folder(self) -> Path | None:
        """Return the folder of the package `target` without importing it or its parents, or None if there is none."""
        from importlib.util import find_spec

        top, *below = self.target.split(".")
        spec = find_spec(top)  # imports nothing, since a top-level package has no parents
        folders = (Path(location, *below) for location in (spec and spec.submodule_search_locations) or ())
        return next((folder for folder in folders if folder.is_dir()), None)


def find(kind: str) -> dict[str, tuple[Plugin, ...]]:
    """Return the plugins of a kind by name, without imports; several if several packages offer the name."""
    return _find(kind, tuple(sys.path))


@lru_cache(maxsize=32)
def _find(kind: str, path: tuple[str, ...]) -> dict[str, tuple[Plugin, ...]]:
    plugins: dict[str, tuple[Plugin, ...]] = {}
    if not _is_offered(kind, path):
        return plugins
    from importlib.metadata import entry_points

    for point in sorted(entry_points(group=f"dialoeval.{kind}"), key=lambda point: point.name):
        plugin = Plugin(kind, point.name, _package(point), point.value)
        offers = plugins.get(point.name, ())
        if plugin not in offers:  # a folder listed twice in sys.path yields a package twice
            plugins[point.name] = (*offers, plugin)
    return plugins


def _is_offered(kind: str, path: Sequence[str]) -> bool:
    """Return whether a package on the path may offer plugins of a kind.

    If none does, importlib.metadata need not be imported, which takes half the time of ``dialoeval run --help``.
    """
    folders = [Path(entry) for entry in path]
    return any(folder.is_file() for folder in folders) or any(  # a file is an archive, which importlib.metadata reads
        f"dialoeval.{kind}" in file.read_text(encoding="utf-8", errors="replace")
        for folder in folders
        for file in folder.glob("*-[iI][nN][fF][oO]/entry_points.txt")  # dist-info, egg-info or EGG-INFO
    )


def get(kind: str, name: str) -> Plugin | None:
    """Return the plugin of that name, or None if no package offers it.

    Raises:
        UserError: several packages offer the name.
    """
    offers = find(kind).get(name, ())
    if len(offers) > 1:
        raise _clash(kind, name, offers)
    return offers[0] if offers else None


def faults() -> list[str]:
    """Import every installed plugin and return the error messages, one line each."""
    lines = []
    for kind in KINDS:
        for name, offers in find(kind).items():
            if len(offers) > 1 and kind != "conf":  # a configuration package is not looked up by name
                lines.append(str(_clash(kind, name, offers)))
            lines += [fault for plugin in offers if (fault := plugin.fault()) is not None]
    return lines


def _clash(kind: str, name: str, offers: Sequence[Plugin]) -> UserError:
    packages = " and ".join(plugin.package for plugin in offers)
    return UserError(f"two packages offer {kind} named {name!r}: {packages}; uninstall one of them")


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name}=={point.dist.version}" if point.dist is not None else "an unknown package"
