"""Options of the configuration groups (`decoding`, `model`, ...): one YAML file each, listed without Hydra.

The files are in conf/ and in the conf packages of plugins. Built-in options win over plugins' of the same name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dialoeval import plugins
from dialoeval.errors import UserError
from dialoeval.paths import conf_dir


@dataclass(frozen=True)
class Option:
    """One file of a configuration group.

    Attributes:
        name: the text after ``group=``.
        file: the YAML file.
        package: the plugin package that offers it, as ``name==version``; None for a built-in option.
    """

    name: str
    file: Path
    package: str | None = None

    @property
    def remark(self) -> str:
        """Description in the first line of the file, after the command. Hydra's ``@package`` line is skipped."""
        lines = [line for line in self.file.read_text(encoding="utf-8").splitlines() if "@package" not in line]
        first = next(iter(lines), "").lstrip("# ")
        _, _, remark = first.partition("        ")
        return (remark or first).strip("() ")


def iter_options(group: str) -> Iterator[Option]:
    """Yield every option of a group, built-in options before those of plugins."""
    for file in sorted((conf_dir() / group).glob("*.yaml")):
        yield Option(file.stem, file)
    for plugin, folder in plugin_folders():
        for file in sorted((folder / group).glob("*.yaml")):
            yield Option(file.stem, file, plugin.package)


def group_options(group: str) -> list[str]:
    """Return the names of a group's options, sorted."""
    return sorted({option.name for option in iter_options(group)})


def find_option(group: str, name: str) -> Option | None:
    """Return an option of a group, or None if the name is unknown.

    Raises:
        UserError: two plugins offer the option.
    """
    options = [option for option in iter_options(group) if option.name == name]
    if len(options) > 1 and options[0].package is not None:
        packages = " and ".join(str(option.package) for option in options)
        raise UserError(f"two packages offer {group}={name}: {packages}; uninstall one of them")
    return options[0] if options else None


def plugin_folders() -> Iterator[tuple[plugins.Plugin, Path]]:
    """Yield each plugin that offers a conf package, and the folder of that package if it can be located."""
    for offers in plugins.find("conf").values():
        for plugin in offers:
            if (folder := plugin.folder()) is not None:
                yield plugin, folder
