"""What a cell of judgments from elsewhere says: a preference or a rating, and how users name their meaning."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dialoeval.errors import UserError

MEANINGS = {1: "the first system", 0: "a tie", -1: "the second system"}
_THINGS = ("model", "system", "response", "reply", "assistant", "option")
_FIRST = ("first", "left", "a", "win", *(f"{thing} {side}" for thing in _THINGS for side in ("a", "1")))
_TIE = (
    "tie",
    "same",
    "equal",
    "draw",
    "neither",
    "both",
    "no preference",
    "tie (bothbad)",
    "tie(bothbad)",
    "both bad",
    "bothbad",
)
_SECOND = ("second", "right", "b", "loss", "lose", *(f"{thing} {side}" for thing in _THINGS for side in ("b", "2")))
WORDS = {**dict.fromkeys(_FIRST, 1), **dict.fromkeys(_TIE, 0), **dict.fromkeys(_SECOND, -1)}
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
        """Return the scale that ``1-7``, ``-3..3`` or ``7`` (from 1) stands for.

        Raises:
            UserError: the text is malformed, or the scale has one point or more than a thousand.
        """
        found = re.fullmatch(r"\s*(?:(-?\d{1,9})\s*(?:-|\.\.))?\s*(-?\d{1,9})\s*", text, re.ASCII)
        lowest, highest = (int(found[1] or 1), int(found[2])) if found else (0, 0)
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


@dataclass(frozen=True)
class Ratings:
    """How the ratings of a file are read.

    Attributes:
        scale: that they lie on.
        values: named by the user.
    """

    scale: Scale
    values: ValueMap

    def read(self, value: object, where: str) -> int:
        """Return a point of the scale.

        Raises:
            UserError: the value is none; `where` names file, line and field.
        """
        mapped = self.values.find(value)
        number = number_of(value if mapped is None else mapped)
        if number is None or not self.scale.holds(number):
            remedy = ""
            if number is not None and number == int(number):
                remedy = "; --points LOW-HIGH names another scale"
            elif isinstance(value, str) and re.fullmatch(r"\d+,\d+", value.strip()):
                remedy = "; a decimal comma is not read"
            raise UserError(f"{where} is {shown(value)}, not a whole number {self.scale}{remedy}")
        return int(number)


@dataclass(frozen=True)
class Preferences:
    """How the preferences of one question are read.

    Attributes:
        scale: of numbers, if the user names one: below its middle the first system is preferred, above it the second.
        values: named by the user.
        systems: all of the file.
        words: {folded word: 1, 0 or -1}.
        coded: numbers are 1 (first), 0 (a tie) and -1 (second): the answers to the question hold -1 and no others.
    """

    scale: Scale | None
    values: ValueMap
    systems: Collection[str]
    words: Mapping[str, int]
    coded: bool

    def read(self, value: object, systems: Sequence[str], where: str) -> tuple[int, bool]:
        """Return 1 for the first system of the row, -1 for the second, 0 for a tie; and whether a name said so.

        Raises:
            UserError: the value is none of these, or can be read two ways; `where` names file, line and field.
        """
        mapped = self.values.find(value)
        if mapped is not None:
            return {"first": 1, "second": -1}.get(mapped.casefold(), 0), False
        text = text_of(value)
        if text is None or isinstance(value, bool):
            raise UserError(f"{where} is {shown(value)}, not a preference{_ACCEPTED}")
        named, is_name = self._named(text, systems)
        reading = self.values.reading
        if number_of(text) is not None and (reading != Reading.names or not is_name):
            if is_name and reading == Reading.either:
                raise UserError(f"{where} is {text!r}, a system's name that may also be a code{_CLASH}")
            return self._numeric(text, where), False
        word = self.words.get(folded(text))
        if reading == Reading.names:
            word = None if is_name or word != 0 else word
        elif reading == Reading.positions:
            named = None
        elif word is not None and is_name and named != word:
            raise UserError(f"{where} is {text!r}, a system's name that is also a word for {MEANINGS[word]}{_CLASH}")
        if named is None and word is None:
            names = ", ".join(systems)
            raise UserError(f"{where} is {text!r}, not a preference{_ACCEPTED}; or a system's name: {names})"[:600])
        return (named, True) if named is not None else (word or 0, False)

    def _named(self, text: str, systems: Sequence[str]) -> tuple[int | None, bool]:
        """Return the preference if the text names a system of the row, and whether it names any system of the file."""
        if text in systems:
            return 1 - 2 * list(systems).index(text), True
        names = [folded(system) for system in systems]
        if names.count(folded(text)) == 1:
            return 1 - 2 * names.index(folded(text)), True
        return None, folded(text) in self.systems

    def _numeric(self, text: str, where: str) -> int:
        number = number_of(text)
        assert number is not None
        if self.scale is not None:
            if not self.scale.holds(number):
                raise UserError(f"{where} is {text!r}, not a whole number {self.scale} (--points)")
            return (number < self.scale.middle) - (number > self.scale.middle)
        if self.coded:
            return int(number)
        raise UserError(
            f"{where} is {text!r}, and numbers other than 1 (first), 0 (a tie), -1 (second) together do not say whom "
            "they prefer: name it, --values 0=first,1=second or the like (same: a tie), or on a scale --points LOW-HIGH "
            "(below the middle the first system is preferred)"
        )


_ACCEPTED = " (first, same or second; a, tie or b; 1, 0, -1; --values VALUE=first,... names others"
_CLASH = ": say which with --values names, --values positions, or --values VALUE=first,VALUE=second"


def side_words(first: str, second: str) -> dict[str, int]:
    """Return {word: preference}; the columns of the first and second system are words for their sides.

    If those columns have the names of the other side, the usual words for a side are left out: they would mislead.
    """
    sides = {folded(first): 1, folded(second): -1}
    crossed = any(WORDS.get(word, side) != side for word, side in sides.items())
    return {**(dict.fromkeys(_TIE, 0) if crossed else WORDS), **sides}


def numbers_are_codes(values: Collection[float]) -> bool:
    """Return whether numbers are 1 (first), 0 (a tie), -1 (second): without -1 they may as well be 0/1 or a scale."""
    return -1 in values and set(values) <= {-1, 0, 1}


def shown(value: Any) -> str:
    """Return a cell as messages show it."""
    if is_empty(value) and not isinstance(value, float):
        return "empty"
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'}, not one value"
    return repr(value)[:80]
