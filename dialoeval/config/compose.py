"""Composition of conf/ into a typed configuration, with errors that suggest the nearest known name."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, overload

from dialoeval.config import effects, schema
from dialoeval.config.groups import find_option, group_options, plugin_folders
from dialoeval.config.provenance import Provenance, keep_to_the_model
from dialoeval.config.schema import not_a_choice
from dialoeval.errors import UserError, chain, first_line, nearest
from dialoeval.paths import conf_dir

if TYPE_CHECKING:
    from hydra.plugins.search_path_plugin import SearchPathPlugin
    from omegaconf import DictConfig

GROUPS = schema.GROUPS
ROOTS = {"config": schema.RunConfig, "train": schema.TrainConfig}


def register() -> None:
    """Register with Hydra the schemas that the files of conf/ extend, and the conf folders of plugins.

    The schemas are named `base_config`, `base_train` and `<group>/base_<group>`.
    """
    from hydra.core.config_store import ConfigStore
    from hydra.core.plugins import Plugins

    store = ConfigStore.instance()
    for root, node in ROOTS.items():
        store.store(name=f"base_{root}", node=node, provider="dialoeval")
    for group, node in GROUPS.items():
        store.store(group=group, name=f"base_{group}", node=node, provider="dialoeval")
    Plugins.instance().register(_search_path_plugin())


@lru_cache(maxsize=1)
def _search_path_plugin() -> type[SearchPathPlugin]:
    from hydra.core.config_search_path import ConfigSearchPath
    from hydra.plugins.search_path_plugin import SearchPathPlugin

    class PluginFolders(SearchPathPlugin):
        """Hydra's search path. conf/ comes first, so that built-in options win."""

        def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
            """Append the conf folder of each plugin."""
            for plugin, folder in plugin_folders():
                search_path.append(provider=plugin.package, path=f"file://{folder}")

    return PluginFolders


@overload
def compose(config_name: Literal["config"], overrides: Sequence[str]) -> schema.RunConfig: ...
@overload
def compose(config_name: Literal["train"], overrides: Sequence[str]) -> schema.TrainConfig: ...
def compose(config_name: str, overrides: Sequence[str]) -> schema.RunConfig | schema.TrainConfig:
    """Return ``conf/<config_name>.yaml``, changed by ``key=value`` overrides, as an object of its schema.

    Raises:
        UserError: a key or group option is unknown (the message suggests the nearest), or a value has the wrong type or
            is out of range.
    """
    config: schema.RunConfig | schema.TrainConfig = to_typed(compose_untyped(config_name, overrides), config_name)
    return config


def is_sweep(overrides: Sequence[str]) -> bool:
    """Return whether the overrides choose an experiment that sets ``hydra.mode`` to a sweep.

    Raises:
        UserError: as `compose`.
    """
    if not any(override.startswith("experiment=") for override in plain_overrides(overrides)):
        return False
    return str(compose_untyped("config", overrides).hydra.mode) == "RunMode.MULTIRUN"


def compose_untyped(config_name: str, overrides: Sequence[str]) -> DictConfig:
    """Return what `compose` composes without checking the values; Hydra's own settings are under `hydra`.

    Raises:
        UserError: a key or group option is unknown, or a value has the wrong type.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        try:
            config: DictConfig = hydra_compose(
                config_name, overrides=plain_overrides(overrides), return_hydra_config=True
            )
        except Exception as error:
            raise to_user_error(error, config_name) from error
    check_choices(config)
    return config


def check_choices(config: DictConfig) -> None:
    """Check that at most one plugin offers each chosen option.

    Raises:
        UserError: two do; the message names the option and both packages.
    """
    for group, option in config.hydra.runtime.choices.items():
        if option is not None and not group.startswith("hydra/"):
            find_option(group, option)


def plain_overrides(overrides: Sequence[str]) -> list[str]:
    """Return overrides in the form that Hydra expects here.

    The plus of ``+experiment=``, which many Hydra applications need, is dropped. ``recipe=NAME`` chooses the option of
    `training` of that name. ``++`` is put before the settings of a plugin (``dataset.options.x=1``) and of mappings by
    the user's texts, which the schema does not contain.

    Raises:
        UserError: an override takes a setting away, has no key or no value, gives a group what cannot be an
            option's name, or sets to a number what is true or false.
    """
    overrides = [re.sub(r"^recipe(?==)", "training", override) for override in overrides]
    for override in overrides:
        key, equals, value = override.lstrip("+").partition("=")
        if override.startswith("~"):
            name = key.lstrip("~")
            raise UserError(f"{override}: a setting cannot be taken away; write {name}=VALUE instead")
        if equals and not key:
            raise UserError(f"cannot read {override!r} as key=value: the key is missing")
        if value == "???":  # OmegaConf's mark of a missing value
            raise UserError(f"{override}: ??? is no value; give one, or leave {key} out for its default")
        if (
            equals
            and key in (*GROUPS, "experiment")
            and (odd := re.fullmatch(r"(?i)(?:.*,)?(null|true|false|[-+.\d]*|[{\[].*)", value))
        ):
            raise _unknown_option(key, odd[1], group_options(key))
        if key in _booleans() and (odd := re.search(r"(?<![^,])(?![01](?:,|$))[-+]?[\d.]+(?![^,])", value)):
            raise UserError(f"{key} must be true or false, not {odd[0]!r}")  # OmegaConf reads any number as true
    plain = [override.removeprefix("+") if override.startswith("+experiment=") else override for override in overrides]
    # with keys that no schema has
    free = re.compile(
        r"\w+\.options\.|model\.(template_args|baseline\.settings)\b|engine\.extra_body\b"
        r"|dataset\.columns\.(where|replace)\b"
    )
    return [f"++{override}" if free.match(override) else override for override in plain]


@lru_cache(maxsize=1)
def _booleans() -> frozenset[str]:
    """Return the dotted names of the settings that are true or false."""
    groups = {**GROUPS, "scoring": schema.ScoringConfig}
    return frozenset(
        f"{name}.{f.name}" for name, node in groups.items() for f in dataclasses.fields(node) if f.type == "bool"
    )


def to_typed(config: DictConfig, config_name: str) -> Any:
    """Return a composed configuration as dataclasses, which check themselves.

    Raises:
        UserError: as `fit`; or a value is out of range, or has no effect in combination with the others.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        typed = OmegaConf.to_object(fit(config, config_name))
    except OmegaConfBaseException as error:
        raise to_user_error(error, config_name) from error
    effects.check(config_name, typed, Provenance(config))
    return typed


def fit(config: DictConfig, config_name: str) -> DictConfig:
    """Return a composed configuration converted to the types of its schema; ranges of values are not checked.

    What the model's option says of its own model is taken out if the user named another (`keep_to_the_model`).

    Raises:
        UserError: a mandatory value is missing, a key is not in the schema, or a value has the wrong type.
    """
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    _check_keys(config, set(known_keys(config_name)), "")
    keep_to_the_model(config, Provenance(config))
    fields = {key: config[key] for key in config if key not in ("hydra", "experiment")}
    try:
        merged = OmegaConf.merge(OmegaConf.structured(ROOTS[config_name]), fields)
        missing = sorted(OmegaConf.missing_keys(merged))
    except OmegaConfBaseException as error:
        raise to_user_error(error, config_name) from error
    assert isinstance(merged, DictConfig)
    if missing:
        raise UserError(f"{missing[0]} must be set: add {missing[0]}=VALUE")
    return merged


def to_yaml(config: Any) -> str:
    """Return a composed or typed configuration as YAML, without empty `options` and a baseline that is none."""
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(OmegaConf.structured(config))
    assert isinstance(plain, dict)
    for group in plain.values():
        if isinstance(group, dict) and group.get("options") == {}:
            del group["options"]
        if isinstance(group, dict) and isinstance(baseline := group.get("baseline"), dict) and not baseline["kind"]:
            del group["baseline"]
    return OmegaConf.to_yaml(OmegaConf.create(plain))


def _check_keys(node: Any, known: set[str], prefix: str) -> None:
    """Raise an error if ``+key=value`` or a user's file adds a key outside the schema, which would have no effect."""
    for key in node:
        name = f"{prefix}{key}"
        if name in ("hydra", "experiment"):
            continue
        if name not in known:
            raise UserError(f"unknown setting {name!r}{nearest(name, known)} (`--cfg job` lists all)")
        if any(other.startswith(f"{name}.") for other in known):
            _check_keys(node[key], known, f"{name}.")


def to_user_error(error: Exception, config_name: str) -> UserError:
    """Return an exception of Hydra or OmegaConf as one sentence that says what to write instead."""
    text = "\n".join(str(e) for e in chain(error))
    if override := getattr(error, "override", None):
        written = override.removeprefix("++")
        return UserError(
            f"cannot read {written!r} as key=value: {first_line(error)} (quote values with special characters)"
        )
    # An unknown option of a group: "In 'config': Could not find 'decoding/beem'"
    if match := re.search(r"Could not find '([\w/]+)/([^/']+)'", text):
        extra = {"joblib": "parallel", "submitit_slurm": "slurm", "submitit_local": "slurm"}.get(match.group(2))
        if match.group(1) == "hydra/launcher" and extra:
            return UserError(f"hydra/launcher={match.group(2)} needs a package: pip install 'dialoeval[{extra}]'")
        available = re.findall(r"^\t(\w\S*)$", text, re.MULTILINE)  # --config-dir's included
        options = sorted(name for name in available if not name.startswith("base_"))
        return _unknown_option(match.group(1), match.group(2), options)
    if match := re.search(r"Ambiguous value for argument '(.*)'", text):
        return UserError(f"{match.group(1)} has several values: add -m for a sweep, or quote a text with a comma")
    if match := re.search(r"field '(.*)' is not Optional", text):
        return UserError(f"{match.group(1)} cannot be null: leave it out for its default")
    if match := re.search(r"Interpolation key '(.*)' not found", text):
        return UserError(f"${{{match.group(1)}}} stands for no setting (`--cfg job` lists all)")
    if match := re.search(r"Environment variable '(.*)' not found", text):
        return UserError(f"${{oc.env:{match.group(1)}}}: this environment variable is not set")
    if match := re.search(r"Value (.*) \(\w+\) is not a valid input for", text):
        choices = re.search(r"full_key: (\S+)", text)
        return UserError(f"{choices.group(1) if choices else 'a setting'} must be one name, not {match.group(1)}")
    key = re.search(r"full_key: (\S+)", text)
    if wrong := _wrong_type(text, key.group(1) if key else ""):
        return wrong
    if key and (match := re.search(r"Invalid value '(.*)', expected one of \[(.*)\]", text)):
        return not_a_choice(key.group(1), match.group(1), match.group(2).split(", "))
    for pattern in (r"Key '([^']+)' is not in struct", r"Key '([^']+)' not in '", r"Could not override '([^']+)'"):
        if match := re.search(pattern, text):
            name = (re.search(r"Could not override '([^']+)'", text) or key or match).group(1)
            if wrong_type := re.search(r"(Value '.*' of type .*|Invalid value .*|Invalid type .*)", text):
                return UserError(f"{name}: {wrong_type.group(1)}")
            known = known_keys(config_name)
            if name in known:
                return UserError(f"{name} cannot be set as a whole: write {name}.KEY=VALUE")
            return UserError(f"unknown setting {name!r}{nearest(name, known)} (`--cfg job` lists all)")
    return UserError(f"{key.group(1)}: {first_line(error)}" if key else first_line(error))


# OmegaConf's word for a type -> ours, and an example
_TYPES = {
    "Integer": "a whole number, for example 64",
    "Float": "a number, for example 0.9",
    "Boolean": "true or false",
    "list": "a list, for example [bertscore]",
    "dict": "several settings below one name, such as {name}.KEY=VALUE",
    "String": "text",
}


def _wrong_type(text: str, key: str) -> UserError | None:
    """Return a sentence about a value of the wrong type, if that is what the messages of an error say."""
    written = re.search(r"(?:merging override|[Cc]ould not override) '?\+*([\w.]+)=(.*)", text)
    for pattern, kind in (
        (r"could not be converted to (Integer|Float)", None),
        (r"is not a valid bool", "Boolean"),
        (r"not a ListConfig, list or tuple|with ListConfig", "list"),
        (r"(?:is not a subclass of|Cannot assign \S+ to|Invalid type assigned).*", "dict"),
        (r"Cannot convert '\w+' to string|type '(?:ListConfig|DictConfig|list|dict)' is not .*str", "String"),
    ):
        if match := re.search(pattern, text):
            name, value = written.groups() if written else (key, "")
            found = re.search(r"Value '(.*?)' of type", text)
            value = value or (found[1] if found else "")
            return UserError(f"{name} must be {_TYPES[kind or match.group(1)].format(name=name)}, not {value!r}")
    return None


def _unknown_option(group: str, option: str, known: Sequence[str]) -> UserError:
    return UserError(f"unknown {group} {option!r}{nearest(option, known)} (known: {', '.join(known)})")


def known_keys(config_name: str) -> list[str]:
    """Return every dotted key of a configuration, groups included."""
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


def group(name: str, option: str, settings: Mapping[str, Any] | None = None, where: str = "") -> Any:
    """Return one option of a configuration group as an object of its schema.

    Args:
        name: of the group.
        option: of the group.
        settings: that replace the option's.
        where: the settings' own place, which messages name before a key.

    Raises:
        UserError: the option or a setting is unknown (the message suggests the nearest), or a value does not fit.
    """
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    entry = find_option(name, option)
    if entry is None:
        raise _unknown_option(name, option, group_options(name))
    values = OmegaConf.load(entry.file)
    assert isinstance(values, DictConfig)
    values.pop("defaults", None)
    settings, known = settings or {}, [field.name for field in dataclasses.fields(GROUPS[name])]
    if unknown := [key for key in settings if key not in known]:
        raise UserError(f"unknown setting '{where}.{unknown[0]}'{nearest(str(unknown[0]), known)}")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(GROUPS[name]), values, OmegaConf.create(dict(settings)))
        return OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        raise UserError(f"{where or name}: {first_line(error)}") from error
