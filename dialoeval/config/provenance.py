"""Whose a setting is: the user's own, or its option's; and what one model's option must not lend to another model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig

# Settings of a model option that describe the model (or the reranking model) that another setting names.
_BELONGS_TO = {
    "path": ("revision", "weights", "backward", "classifier"),
    "backward": ("backward_revision", "backward_weights"),
    "classifier": ("classifier_revision",),
}


class Provenance:
    """The overrides and chosen options of a composed configuration.

    Args:
        config: as composed; Hydra's own settings are under `hydra`, or else Hydra holds them for the job in progress.
    """

    def __init__(self, config: DictConfig) -> None:
        from omegaconf import OmegaConf

        hydra = _hydra(config)
        task = [] if hydra is None else list(hydra.overrides.task)
        choices = {} if hydra is None else OmegaConf.to_container(hydra.runtime.choices)
        sources = [] if hydra is None else hydra.runtime.config_sources
        assert isinstance(choices, dict)
        self.choices = {str(group): str(option) for group, option in choices.items() if option is not None}
        self.keys = frozenset(override.lstrip("+~").partition("=")[0].partition("@")[0] for override in task)
        self._folders = [Path(source.path) for source in sources if source.schema == "file"]
        self._config = config
        self._options: dict[str, dict[str, Any]] = {}
        self._defaults: dict[str, Any] = {}

    def option(self, group: str) -> dict[str, Any]:
        """Return what the chosen option of a group sets; other settings have the schema's defaults."""
        if group not in self._options:
            self._options[group] = _values(group, self.choices.get(group, ""), self._folders)
        return self._options[group]

    def is_given(self, name: str) -> bool:
        """Return whether the user set a setting: on the command line, or in a file that is not the option's own.

        Args:
            name: dotted, ``model.path``; or a group, whose option the user chose.
        """
        if name in self.keys or any(key.startswith(f"{name}.") for key in self.keys if "." in name):
            return True
        group, _, key = name.partition(".")
        if not key:
            return False
        parents = (".".join(name.split(".")[:n]) for n in range(2, name.count(".") + 1))
        if any(parent in self.keys for parent in parents):
            return True
        return group in self.choices and self._differs(group, key)

    def _differs(self, group: str, key: str) -> bool:
        """Return whether a setting has another value than its option sets, such as that of an experiment's file."""
        from omegaconf import OmegaConf

        from dialoeval.config.schema import GROUPS

        if group not in self._defaults:
            default = OmegaConf.merge(OmegaConf.structured(GROUPS[group]), self.option(group))
            self._defaults[group] = OmegaConf.to_container(default, enum_to_str=True)
        return bool(_plain(self._config[group], key) != _plain(self._defaults[group], key))


def keep_to_the_model(config: DictConfig, provenance: Provenance) -> None:
    """Take from a composed configuration what the model's option says of its own model, if the user named another.

    With another ``model.path`` than the option's, revision, weights, backward model and classifier are those that the
    user set, or none; the name is the user's, or else the last part of the path. With another ``model.backward`` or
    ``model.classifier`` the same holds for its revision and weights. The prompt is a format and stays.
    """
    from omegaconf import OmegaConf, open_dict

    from dialoeval.config.schema import ModelConfig

    if "model" not in config or "model" not in provenance.choices:
        return
    model, option = config.model, provenance.option("model")
    defaults = OmegaConf.structured(ModelConfig)
    with open_dict(model):
        for owner, owned in _BELONGS_TO.items():
            if _plain(model, owner) == option.get(owner) or OmegaConf.is_missing(model, owner):
                continue
            for key in owned:
                if not provenance.is_given(f"model.{key}"):
                    model[key] = defaults[key]
        other = not OmegaConf.is_missing(model, "path") and model.path != option.get("path")
        if other and not provenance.is_given("model.name"):
            model.name = str(model.path).rstrip("/").rsplit("/", 1)[-1] or str(model.path)


def _hydra(config: DictConfig) -> Any:
    from hydra.core.hydra_config import HydraConfig

    if "hydra" in config:
        return config.hydra
    return HydraConfig.get() if HydraConfig.initialized() else None


def _values(group: str, option: str, folders: Iterable[Path]) -> dict[str, Any]:
    """Return what an option's file sets, and the options of its group that its `defaults` name."""
    from omegaconf import OmegaConf

    file = next((f for folder in folders if (f := folder / group / f"{option}.yaml").is_file()), None)
    if file is None:
        return {}
    values = OmegaConf.to_container(OmegaConf.load(file))
    assert isinstance(values, dict)
    merged: dict[str, Any] = {}
    own = {str(key): value for key, value in values.items() if key != "defaults"}
    for entry in values.get("defaults", ["_self_"]):
        if isinstance(entry, str) and not entry.startswith("base_"):
            merged |= own if entry == "_self_" else _values(group, entry, folders)
    return merged


def _plain(node: Any, key: str) -> Any:
    """Return the value at a dotted key as it is written: interpolations unresolved, enumerations as text."""
    from omegaconf import DictConfig, OmegaConf

    values: Any = OmegaConf.to_container(node, enum_to_str=True) if isinstance(node, DictConfig) else node
    for part in key.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values
