"""Cells of judgments from elsewhere: texts and numbers, scales, and what a user says that values mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dialoeval.errors import UserError

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)", re.ASCII)
_MISSING = {"na", "n/a", "nan", "null"}  # how R, spreadsheets and pandas write an empty cell
MOST_POINTS = 1001


def text_of(value: object) -> str | None:
    """Return a cell as text without surrounding spaces, a whole number without ``.0``; None for no text or number."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value == value and abs(value) < 2**53 and value == int(value):
        return str(int(value))
    return str(value).strip() if isinstance(value, str | int | float) else None


def number_of(value: object) -> float | None:
    """Return the number that a cell is, written with a decimal point; None for all else, NaN and infinity too."""
    text = text_of(value)
    return float(text) if text is not None and len(text) < 30 and _NUMBER.fullmatch(text) else None


def folded(text: str) -> str:
    """Return a text as it is compared: letter case, underscores, hyphens between words and spaces do not count."""
    return " ".join(re.sub(r"(?<=\w)[-_](?=\w)", " ", text.casefold().replace("_", " ")).split())


def is_empty(value: object) -> bool:
    """Return whether a cell holds nothing."""
    return value is None or (isinstance(value, str) and not value.strip()) or value != value


def is_missing(value: object) -> bool:
    """Return whether a cell is empty, or says so as R, spreadsheets and pandas do (NA, n/a, NaN, null)."""
    return is_empty(value) or (isinstance(value, str) and value.strip().casefold() in _MISSING)


@dataclass(frozen=True)
class Scale:
    """A scale of whole points.

    Attributes:
        lowest: point.
        highest: point.
    """

    lowest: int = 1
    highest: int = 5

    @classmethod
    def parse(cls, text: str) -> Scale:
        """Return the scale that ``1-7`` or ``-3..3`` stands for.

        Raises:
            UserError: the text is malformed, or the scale has one point or more than a thousand.
        """
        found = re.fullmatch(r"\s*(-?\d{1,9})\s*(?:-|\.\.)\s*(-?\d{1,9})\s*", text, re.ASCII)
        lowest, highest = (int(found[1]), int(found[2])) if found else (0, 0)
        if lowest >= highest:
            raise UserError(f"--points {text}: expected LOWEST-HIGHEST, such as 1-5, or --points=-3..3")
        if highest - lowest >= MOST_POINTS:
            raise UserError(f"--points {text}: a scale may have {MOST_POINTS:,} points at most")
        return cls(lowest, highest)

    def __str__(self) -> str:
        return f"from {self.lowest} to {self.highest}"

    @property
    def middle(self) -> float:
        """The point half way, which is no point of a scale with an even number of points."""
        return (self.lowest + self.highest) / 2

    def holds(self, number: float | None) -> bool:
        """Return whether a number is a point of the scale."""
        return number is not None and self.lowest <= number <= self.highest and number == int(number)


class Reading(StrEnum):
    """How a value is read that may be a system's name or a word for a side."""

    either = "either"  # refused where both are possible and differ
    names = "names"  # names of systems; a word may only be a tie
    positions = "positions"  # words such as first, a or left


@dataclass(frozen=True)
class ValueMap:
    """What values mean, as the user names it.

    Attributes:
        texts: {folded value: meaning}.
        numbers: ((lowest, highest), meaning) of numbers and ranges of numbers.
        reading: of values that are not in the map.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    numbers: tuple[tuple[tuple[float, float], str], ...] = ()
    reading: Reading = Reading.either

    @classmethod
    def parse(cls, text: str) -> ValueMap:
        """Return the map that ``0=first,1=second``, ``1..3=first,4=same,5..7=second`` or ``names`` stands for.

        Raises:
            UserError: an entry is malformed, or gives a value two meanings.
        """
        texts: dict[str, str] = {}
        numbers: list[tuple[tuple[float, float], str]] = []
        reading = Reading.either
        for entry in text.split(","):
            value, equals, meaning = (part.strip() for part in entry.rpartition("="))
            if not equals and meaning in (Reading.names, Reading.positions):
                reading = Reading(meaning)
                continue
            if not value or not meaning:
                raise UserError(
                    f"--values {text}: {entry!r} is not VALUE=MEANING, such as 0=first, nor names, positions"
                )
            ends = [number_of(part) for part in re.split(r"(?<=\d)\.\.(?=[-+.\d])", value)]
            low, high = ends[0], ends[-1]
            if low is None or high is None or len(ends) > 2:
                twice = folded(value) in texts
                texts[folded(value)] = meaning
            else:
                twice = low > high or any(low <= end[1] and end[0] <= high for end, _ in numbers)
                numbers.append(((low, high), meaning))
            if twice:
                raise UserError(f"--values {text}: {value!r} is named twice, or is a range from high to low")
        return cls(texts, tuple(numbers), reading)

    def find(self, value: object) -> str | None:
        """Return the meaning of a value, or None."""
        number, text = number_of(value), text_of(value)
        if number is not None:
            return next((meaning for (low, high), meaning in self.numbers if low <= number <= high), None)
        return None if text is None else self.texts.get(folded(text))

    def check(self, *, pairs: bool) -> None:
        """Check that the meanings are preferences, or numbers for ratings.

        Raises:
            UserError: one is not.
        """
        for meaning in [*self.texts.values(), *(meaning for _, meaning in self.numbers)]:
            if pairs and meaning.casefold() not in ("first", "second", "same", "tie"):
                raise UserError(
                    f"--values: {meaning!r} is not first, second, same or tie, the meanings of a preference"
                )
            if not pairs and number_of(meaning) is None:
                raise UserError(f"--values: {meaning!r} is not a number; of ratings, values stand for points")


def shown(value: Any) -> str:
    """Return a cell as messages show it."""
    if is_empty(value) and not isinstance(value, float):
        return "empty"
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'}, not one value"
    return repr(value)[:80]
