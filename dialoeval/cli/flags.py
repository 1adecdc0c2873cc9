"""The flags of the Hydra applications `run` and `train`: what they take, and why they refuse the rest."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from dialoeval.errors import UserError, nearest

_SHORT = {"-h": "--help", "-m": "--multirun", "-c": "--cfg", "-p": "--package", "-i": "--info", "-r": "--run"} | {
    "-cd": "--config-dir",
    "-cn": "--config-name",
    "-cp": "--config-path",
    "-sc": "--shell-completion",
}
# flag -> the values it takes; none: it is alone; ("",): any
_SHARED: dict[str, tuple[str, ...]] = {
    "--help": (),
    "--cfg": ("job", "hydra", "all"),
    "--resolve": (),
    "--package": ("",),
    "--info": ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
    "--hydra-help": (),
    "--version": (),
    "--config-dir": ("",),
    "--run": (),
}
TAKEN: dict[str, dict[str, tuple[str, ...]]] = {
    "run": _SHARED | dict.fromkeys(("--multirun", "--dry-run", "--fail-fast", "--json", "--quiet"), ()),
    "train": _SHARED,
}
_REFUSED = {
    "--shell-completion": "use `dialoeval completion bash`, zsh or fish",
    "--config-path": "use --config-dir DIR, whose options are added to the shipped ones",
    "--config-name": "put settings into DIR/experiment/NAME.yaml, then --config-dir DIR experiment=NAME",
    "--experimental-rerun": "the same command resumes a run; `dialoeval show RUN` prints its settings",
}


@dataclass
class Flags:
    """A command line of `run` or `train`.

    Attributes:
        given: {flag: its value}, empty for a flag that takes none.
        overrides: all other arguments, in order.
    """

    given: dict[str, str] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)

    def __contains__(self, flag: str) -> bool:
        return flag in self.given

    @property
    def hydra(self) -> list[str]:
        """The flags that Hydra handles, as it reads them."""
        names = ("--cfg", "--resolve", "--package", "--info", "--hydra-help", "--version")
        return [text for name in names if name in self.given for text in (name, self.given[name]) if text]


def parse(verb: str, arguments: Sequence[str]) -> Flags:
    """Separate flags and overrides. ``--config-dir`` becomes Hydra's override of its search path.

    Raises:
        UserError: a flag is unknown, is refused, has a wrong value, or does not go with another one.
    """
    flags, rest = Flags(), list(arguments)
    while rest:
        argument = rest.pop(0)
        if not argument.startswith("-") or argument == "-":
            flags.overrides.append(argument)
            continue
        name, equals, value = argument.partition("=")
        name = _SHORT.get(name, name)
        values = _values(verb, name)
        if not values and equals:
            raise UserError(f"{name} takes no value")
        if values and not equals:
            follows = bool(rest) and not rest[0].startswith("-") and (values == ("",) or rest[0] in values)
            optional = name == "--info"
            value = rest.pop(0) if follows or (rest and not optional) else "all" if optional else ""
        if values and value not in values and values != ("",):
            raise UserError(f"{name} {value or '(nothing)'}: expected {', '.join(values)}{nearest(value, values)}")
        if values and not value:
            raise UserError(f"{name} needs a {'folder' if name == '--config-dir' else 'value'}")
        flags.given[name] = value
    _check(flags)
    if folder := flags.given.get("--config-dir"):
        if not os.path.isdir(folder):
            raise UserError(f"--config-dir: {folder} is not a folder")
        flags.overrides.append(f"hydra.searchpath=['file://{os.path.abspath(folder)}']")
    return flags


def _values(verb: str, name: str) -> tuple[str, ...]:
    if name in TAKEN[verb]:
        return TAKEN[verb][name]
    if name in _REFUSED:
        raise UserError(f"{name} does not go with dialoeval {verb}: {_REFUSED[name]}")
    if verb == "train" and name in TAKEN["run"]:
        raise UserError(f"dialoeval train has no {name}: it belongs to dialoeval run")
    close = nearest(name, [*TAKEN[verb], *_SHORT])
    raise UserError(f"unknown flag {name}{close} (`dialoeval {verb} --help` lists them)")


def _check(flags: Flags) -> None:
    """Check which flags go together.

    Raises:
        UserError: naming two that do not, or one that needs another.
    """
    for name in ("--resolve", "--package"):
        if name in flags and "--cfg" not in flags:
            raise UserError(f"{name} needs --cfg: write --cfg job {name}{' NAME' if name == '--package' else ''}")
    printing = [name for name in ("--cfg", "--info", "--hydra-help", "--version", "--dry-run") if name in flags]
    doing = [name for name in ("--multirun", "--run", "--fail-fast", "--quiet") if name in flags]
    if len(printing) > 1:
        raise UserError(f"{printing[0]} does not go with {printing[1]}")
    if printing and doing:
        shown = "-m" if doing[0] == "--multirun" else doing[0]
        raise UserError(f"{printing[0]} does not go with {shown}: it prints and stops")
    if "--json" in flags and printing and printing != ["--dry-run"]:
        raise UserError(f"--json does not go with {printing[0]}, which prints for people")
    for one, other in (("--json", "--quiet"), ("--run", "--multirun")):
        if one in flags and other in flags:
            raise UserError(f"{one} does not go with {other}")
