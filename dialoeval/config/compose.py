"""Composing conf/ into a typed configuration, with errors that name what was probably meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from dialoeval.config import schema
from dialoeval.errors import UserError, nearest
from dialoeval.paths import conf_dir

# Schema of each configuration group, and of each whole configuration.
GROUPS = {
    "model": schema.ModelConfig,
    "decoding": schema.DecodingConfig,
    "dataset": schema.DatasetConfig,
    "protocol": schema.ProtocolConfig,
    "engine": schema.EngineConfig,
    "training": schema.TrainingConfig,
}
ROOTS = {"config": schema.RunConfig, "train": schema.TrainConfig}


def register() -> None:
    """Tell Hydra the schemas, under names that conf/'s files start from: `base_config` and `<group>/base_<group>`."""
    from hydra.core.config_store import ConfigStore

    store = ConfigStore.instance()
    for root, node in ROOTS.items():
        store.store(name=f"base_{root}", node=node, provider="dialoeval")
    for group, node in GROUPS.items():
        store.store(group=group, name=f"base_{group}", node=node, provider="dialoeval")


def compose(config_name: str, overrides: Sequence[str]) -> Any:
    """Compose ``conf/<config_name>.yaml`` with command-line overrides into an object of its schema.

    Raises:
        UserError: an unknown key, group option or value of the wrong type, naming the nearest known one.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        try:
            config = hydra_compose(config_name, overrides=plain_overrides(overrides))
        except Exception as error:
            raise explained(error, config_name) from error
    return to_typed(config, config_name)


def plain_overrides(overrides: Sequence[str]) -> list[str]:
    """Overrides with ``+experiment=`` as ``experiment=``: many Hydra applications want the plus, this one does not."""
    return [override.removeprefix("+") if override.startswith("+experiment=") else override for override in overrides]


def is_sweep(overrides: Sequence[str]) -> bool:
    """Whether these overrides make a sweep without -m: an experiment sets ``hydra.mode`` to it."""
    names = [o.partition("=")[2] for o in plain_overrides(overrides) if o.startswith("experiment=")]
    files = [conf_dir() / "experiment" / f"{name}.yaml" for name in names]
    mode = re.compile(r"^\s*mode: MULTIRUN", re.MULTILINE)
    return any(file.is_file() and mode.search(file.read_text(encoding="utf-8")) for file in files)


def to_typed(config: Any, config_name: str) -> Any:
    """A composed configuration as plain dataclasses.

    Raises:
        UserError: a mandatory value is missing, or a key was added that no schema has.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    _check_keys(config, set(known_keys(config_name)), "")
    try:
        fields = {key: config[key] for key in config if key not in ("hydra", "experiment")}
        plain = OmegaConf.merge(OmegaConf.structured(ROOTS[config_name]), fields)
        missing = sorted(OmegaConf.missing_keys(plain))
        if missing:
            raise UserError(f"{missing[0]} must be set: add {missing[0]}=VALUE")
        return OmegaConf.to_object(plain)
    except OmegaConfBaseException as error:
        raise explained(error, config_name) from error


def _check_keys(node: Any, known: set[str], prefix: str) -> None:
    """Refuse what ``+key=value`` or a user's file added beside the schema: it would be ignored silently."""
    for key in node:
        name = f"{prefix}{key}"
        if name in ("hydra", "experiment"):
            continue
        if name not in known:
            raise UserError(f"unknown setting {name!r}{nearest(name, known)} (`--cfg job` shows all)")
        if any(other.startswith(f"{name}.") for other in known):
            _check_keys(node[key], known, f"{name}.")


def explained(error: Exception, config_name: str) -> UserError:
    """Hydra's or OmegaConf's exception as one sentence that says what to write instead."""
    text = "\n".join(str(e) for e in _chain(error))
    if override := getattr(error, "override", None):
        first = next(iter(str(error).splitlines()), "")
        return UserError(f"cannot read {override!r} as key=value: {first} (quote values with special characters)")
    # Group option that does not exist: "In 'config': Could not find 'decoding/beem'"
    if match := re.search(r"Could not find '(\w+)/([^']+)'", text):
        group, option = match.groups()
        options = group_options(group)
        return UserError(f"unknown {group} {option!r}{nearest(option, options)} (known: {', '.join(options)})")
    for pattern in (r"Key '([^']+)' is not in struct", r"Key '([^']+)' not in '", r"Could not override '([^']+)'"):
        if match := re.search(pattern, text):
            key = re.search(r"full_key: (\S+)", text)
            named = re.search(r"Could not override '([^']+)'", text)
            name = named.group(1) if named else key.group(1) if key else match.group(1)
            if wrong_type := re.search(r"(Value '.*' of type .*|Invalid value .*|Invalid type .*)", text):
                return UserError(f"{name}: {wrong_type.group(1)}")
            return UserError(
                f"unknown setting {name!r}{nearest(name, known_keys(config_name))} (`--cfg job` shows all)"
            )
    key = re.search(r"full_key: (\S+)", text)
    first = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    return UserError(f"{key.group(1)}: {first}" if key else first)


def group_options(group: str) -> list[str]:
    """The options of a configuration group: its files in conf/."""
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


def known_keys(config_name: str) -> list[str]:
    """Every dotted key of a configuration, and its groups."""
    import dataclasses
    import typing

    def walk(node: type, prefix: str) -> list[str]:
        keys = []
        hints = typing.get_type_hints(node)
        for field in dataclasses.fields(node):
            keys.append(prefix + field.name)
            if dataclasses.is_dataclass(hints[field.name]):
                keys += walk(hints[field.name], f"{prefix}{field.name}.")
        return keys

    return walk(ROOTS[config_name], "")


def _chain(error: BaseException | None) -> list[BaseException]:
    chain = []
    while error is not None and len(chain) < 5:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain


def group(name: str, option: str) -> Any:
    """One option of a configuration group, as an object of its schema.

    Raises:
        UserError: no such option, naming the nearest.
    """
    from omegaconf import OmegaConf

    if option not in group_options(name):
        options = group_options(name)
        raise UserError(f"unknown {name} {option!r}{nearest(option, options)} (known: {', '.join(options)})")
    values = OmegaConf.load(conf_dir() / name / f"{option}.yaml")
    values.pop("defaults", None)
    return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(GROUPS[name]), values))
