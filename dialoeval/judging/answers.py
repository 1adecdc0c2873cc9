"""What the answers of judgments from elsewhere say: preferences and ratings, and notes on how they were read."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dialoeval.errors import UserError
from dialoeval.judging.judgments import Judgment
from dialoeval.judging.values import Reading, Scale, ValueMap, folded, is_missing, number_of, shown, text_of

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


@dataclass(frozen=True)
class Answer:
    """An answer that has not been read.

    Attributes:
        where: file, line and field.
        cell: what stands there.
        systems: of the row, in its order.
        base: the judgment without its value.
    """

    where: str
    cell: Any
    systems: tuple[str, ...]
    base: Judgment


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
            elif is_missing(value):
                remedy = "; --skip-empty leaves such answers out and counts them"
            elif isinstance(value, str) and re.fullmatch(r"\d+,\d+", value.strip()):
                remedy = "; a decimal comma is not read"
            elif isinstance(value, str) and number is None:
                remedy = "; --values LABEL=POINT,... says what labels stand for"
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
        numbers: among the answers to the question that the user has not named.
    """

    scale: Scale | None
    values: ValueMap
    systems: Collection[str]
    words: Mapping[str, int]
    numbers: Collection[float]

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
            raise UserError(f"{where} is {shown(value)}, not a preference ({_ACCEPTED})")
        named, is_name = self._named(text, systems)
        reading = self.values.reading
        if number_of(text) is not None and not (is_name and reading == Reading.names):
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
            raise UserError(
                f"{where} is {shown(text)}, not a preference ({_ACCEPTED}; or a system's name: {', '.join(systems)})"
            )
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
        if numbers_are_codes(self.numbers):
            return int(number)
        found = ", ".join(f"{one:g}" for one in sorted(self.numbers)[:5]) + ", ..." * (len(self.numbers) > 5)
        raise UserError(
            f"{where} is {text!r}, and the numbers of this question ({found}) do not say whom they prefer (1, 0, -1 "
            "together would): name it with --values 1=first,0=second or --values 0=first,1=second (same: a tie), or "
            "with --points LOW-HIGH on a scale whose lower half prefers the first system"
        )


_ACCEPTED = "first, same or second; a, tie or b; 1, 0, -1; --values VALUE=first,... names others"
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


def read_ratings(answers: Sequence[Answer], scale: Scale | None, values: ValueMap) -> tuple[list[Judgment], list[str]]:
    """Return the ratings, on five points if there is no scale, and notes on how they were read.

    Raises:
        UserError: an answer is no point of the scale.
    """
    values.check(pairs=False)
    how = Ratings(scale or Scale(), values)
    rated = [replace(one.base, value=how.read(one.cell, one.where)) for one in answers]
    labels = {text_of(one.cell): row.value for one, row in zip(answers, rated, strict=True) if values.find(one.cell)}
    read = [f"{label!r} as {point}" for label, point in list(labels.items())[:12]] + ["..."] * (len(labels) > 12)
    notes = [f"ratings were read so: {', '.join(read)}"] if labels else []
    return rated, notes if scale else [*notes, f"ratings lie on a scale {how.scale} (--points names another)"]


def read_preferences(
    answers: Sequence[Answer], scale: Scale | None, values: ValueMap, sides: tuple[str, str]
) -> tuple[list[Judgment], list[str]]:
    """Return the preferences, and notes on how they were read.

    Args:
        answers: all of the file.
        scale: of numbers, or None.
        values: named by the user.
        sides: columns of the first and the second system.

    Raises:
        UserError: an answer is no preference, or it can be read two ways.
    """
    values.check(pairs=True)
    if scale is not None and scale.lowest < 0:
        low, high = f"{scale.lowest}..-1", f"1..{scale.highest}"
        raise UserError(
            f"--points={scale.lowest}..{scale.highest}: on pairs, a scale around 0 does not say which sign prefers the "
            f"first system: write --values={low}=first,0=same,{high}=second, or first and second the other way round"
        )
    numbers: dict[str, set[float]] = {one.base.question: set() for one in answers}
    for one in answers:
        number = number_of(one.cell)
        if number is not None and values.find(one.cell) is None:
            numbers[one.base.question].add(number)
    if scale is not None and not any(numbers.values()):
        raise UserError(
            f"--points={scale.lowest}..{scale.highest}: no preference is a number that --values leaves open"
        )
    systems = {folded(system) for one in answers for system in one.systems}
    words = side_words(*sides)
    readers = {name: Preferences(scale, values, systems, words, found) for name, found in numbers.items()}
    meanings: dict[str, int] = {}  # of values that are no names
    named = False
    judged = []
    for one in answers:
        value, by_name = readers[one.base.question].read(one.cell, one.systems, one.where)
        named = named or by_name
        if not by_name and (scale is None or number_of(one.cell) is None or values.find(one.cell) is not None):
            meanings[str(text_of(one.cell))] = value
        judged.append(replace(one.base, value=value if one.systems == one.base.systems else -value))
    return judged, [_how_read(meanings, named, scale, sides)]


def _how_read(meanings: Mapping[str, int], named: bool, scale: Scale | None, sides: tuple[str, str]) -> str:
    parts = ["a system's name as that system"] if named else []
    for meaning, name in MEANINGS.items():
        values = [repr(value) for value, found in meanings.items() if found == meaning]
        if values:
            parts.append(f"{', '.join(values[:8])}{', ...' if len(values) > 8 else ''} as {name}")
    if scale is not None:
        tie = f"{scale.middle:g} as a tie" if scale.holds(scale.middle) else "none as a tie"
        parts.append(
            f"of the points {scale} those below {scale.middle:g} as the first system, those above as the second, {tie}"
            "; how far from the middle does not count"
        )
    return f"preferences were read so: {'; '.join(parts)} (first: column {sides[0]}; second: column {sides[1]})"
