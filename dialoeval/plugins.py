"""Plugins: metrics, datasets, engines, executors and configuration folders of other installed packages.

A package offers them by entry points, in one group a kind::

    [project.entry-points."dialoeval.metrics"]
    my_metric = "mypkg.metric"

Names are read without importing anything; a plugin is imported when it is asked for by name. A built-in of the same
name always wins: callers look among their own modules first.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dialoeval.errors import UserError, first_line

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

KINDS = ("metrics", "datasets", "engines", "executors", "conf")


@dataclass(frozen=True)
class Plugin:
    """A name that an installed package offers.

    Attributes:
        kind: one of `KINDS`.
        name: what the user writes.
        package: the distribution that offers it, as ``name==version``; part of identities and signatures.
        target: the module, or the object in a module (``pkg.module:Name``), that `load` returns; of a "conf" plugin
            the package that holds the groups' folders.
    """

    kind: str
    name: str
    package: str
    target: str

    def load(self) -> Any:
        """Import the plugin.

        Raises:
            UserError: it cannot be imported, naming its package and the cause.
        """
        from importlib.metadata import EntryPoint

        try:
            return EntryPoint(self.name, self.target, f"dialoeval.{self.kind}").load()
        except Exception as error:  # whatever a plugin raises while it is imported
            raise UserError(
                f"the plugin {self.name!r} of {self.package} cannot be imported: {type(error).__name__}: "
                f"{first_line(error)} (mend it, or uninstall {self.package.partition('==')[0]})"
            ) from error

    def folder(self) -> Path | None:
        """Return the folder of the package that `target` names, found without importing it or its parents.

        None if there is no such package in a folder.
        """
        locations: Sequence[str] | None = None
        for name in accumulate(self.target.split("."), "{}.{}".format):
            finders = (finder.find_spec(name, locations) for finder in sys.meta_path)
            spec = next((spec for spec in finders if spec is not None), None)
            if spec is None or not spec.submodule_search_locations:
                return None
            locations = list(spec.submodule_search_locations)
        return next((folder for folder in map(Path, locations or ()) if folder.is_dir()), None)


def find(kind: str) -> dict[str, tuple[Plugin, ...]]:
    """Return the plugins of a kind by name, importing none of them. A name that two packages offer has two entries."""
    return _find(kind, tuple(sys.path))


@lru_cache(maxsize=32)
def _find(kind: str, path: tuple[str, ...]) -> dict[str, tuple[Plugin, ...]]:
    from importlib.metadata import entry_points

    plugins: dict[str, tuple[Plugin, ...]] = {}
    for point in sorted(entry_points(group=f"dialoeval.{kind}"), key=lambda point: point.name):
        plugin = Plugin(kind, point.name, _package(point), point.value)
        offers = plugins.get(point.name, ())
        if plugin not in offers:  # a folder that is on the path twice shows a package twice
            plugins[point.name] = (*offers, plugin)
    return plugins


def get(kind: str, name: str) -> Plugin | None:
    """Return the plugin of that name, or None if no package offers it.

    Raises:
        UserError: two packages offer the name.
    """
    plugins = find(kind).get(name, ())
    if len(plugins) > 1:
        packages = " and ".join(plugin.package for plugin in plugins)
        raise UserError(f"two packages offer {kind} named {name!r}: {packages}; uninstall one of them")
    return plugins[0] if plugins else None


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name}=={point.dist.version}" if point.dist is not None else "an unknown package"
