"""Which runs and columns of a board a person names: settings by key, values as they are written."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from dialoeval.errors import UserError, nearest
from dialoeval.metrics.scores import Scores

T = TypeVar("T")
_SHOWN = 8  # values named in a message


@dataclass(frozen=True)
class Names:
    """What can be named: keys of settings, and flat names of figures."""

    keys: tuple[str, ...]
    figures: tuple[str, ...]

    @classmethod
    def of(cls, settings: Sequence[Mapping[str, Any]], scores: Sequence[Scores]) -> Names:
        """Return the names that any run has."""
        keys = dict.fromkeys(key for values in settings for key in values)
        return cls(tuple(keys), tuple(dict.fromkeys(name for one in scores for name in one)))


def key_of(name: str, known: Names) -> str:
    """Return the key of a setting: as it is, or the only one that ends in it, such as ``num_beams``.

    Raises:
        UserError: there is none, or several.
    """
    if name in known.keys:
        return name
    ending = [key for key in known.keys if key.endswith(f".{name}")]
    if len(ending) == 1:
        return ending[0]
    if ending:
        raise UserError(f"{name!r} can be {', '.join(ending)}: write one of them")
    raise UserError(f"no run has a figure or setting {name!r}{nearest(name, (*known.figures, *known.keys))}")


def chosen(runs: Sequence[T], settings: Sequence[Mapping[str, Any]], filters: Sequence[str], known: Names) -> list[T]:
    """Return the runs that fit every filter ``KEY=VALUE,VALUE``.

    Raises:
        UserError: a filter is malformed, names no setting, or no run is left.
    """
    left = list(zip(runs, settings, strict=True))
    for text in filters:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise UserError(f"filter {text!r}: write KEY=VALUE, such as decoding.num_beams=10 or model=tiny")
        if name.strip() in known.figures:
            raise UserError(
                f"filter {text!r}: {name.strip()} is a figure; filters are on settings (--sort takes figures)"
            )
        key = key_of(name.strip(), known)
        fitting = [(run, values) for run, values in left if fits(values.get(key), value.strip())]
        if not fitting:
            found = dict.fromkeys(written(values.get(key)) for _, values in left)
            listed = ", ".join(list(found)[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
            raise UserError(f"no run fits {text}: the runs before this filter have {key} {listed}")
        left = fitting
    return [run for run, _ in left]


def fits(value: Any, text: str) -> bool:
    """Return whether a setting has a value as it is written; ``*`` stands for any text, a comma for "or"."""
    return any(_fits(value, one.strip()) for one in (text, *text.split(",")))


def _fits(value: Any, text: str) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(text) == value
        except ValueError:
            return False
    shown = written(value)
    return fnmatch.fnmatchcase(shown.lower(), text.lower()) if "*" in text else shown.lower() == text.lower()


def written(value: Any) -> str:
    """Return a value as a command line has it: ``null``, ``true``, ``10``."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def sort_key(value: Any) -> tuple[int, float, str]:
    """Return what sorts numbers by size, then texts."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 0, float(value), ""
    return 1, 0.0, str(value)
