"""Suffix rules as arrays, and the comparison and replacement of suffixes, on UTF-16 code units."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dialoeval.metrics.meteor15.kernels.compiler import compiled
from dialoeval.metrics.meteor15.layout import U16

SIZE, ADDED, CONDITION = range(3)  # columns of `Suffixes.numbers`


class Suffixes(NamedTuple):
    """Rules, one a row."""

    letters: NDArray[np.uint16]  # (rules, longest): the suffix and then its replacement
    numbers: NDArray[np.int64]  # (rules, 3): length of the suffix, length of the replacement, condition


def parse_rules(text: str, condition: int = 0) -> list[tuple[str, str, int]]:
    """Return ``"tional>tion ness>"`` as (suffix, replacement, condition) triples."""
    pairs = (rule.split(">") for rule in text.split())
    return [(suffix, replacement, condition) for suffix, replacement in pairs]


def suffix_table(rules: list[tuple[str, str, int]]) -> Suffixes:
    """Return the rules as arrays, in the same order."""
    letters = np.zeros((len(rules), max(len(suffix + replacement) for suffix, replacement, _ in rules)), np.uint16)
    numbers = np.zeros((len(rules), 3), np.int64)
    for row, (suffix, replacement, condition) in enumerate(rules):
        letters[row, : len(suffix + replacement)] = [ord(letter) for letter in suffix + replacement]
        numbers[row] = len(suffix), len(replacement), condition
    return Suffixes(letters, numbers)


@compiled
def same_units(a: U16, a_start: int, b: U16, b_start: int, length: int) -> bool:
    """Return whether ``a[a_start:a_start + length]`` equals the stretch of `b` from `b_start`."""
    for k in range(length):  # noqa: SIM110 - numba does not compile generators
        if a[a_start + k] != b[b_start + k]:
            return False
    return True


@compiled
def ends_with(word: U16, length: int, rules: Suffixes, row: int) -> bool:
    """Return whether ``word[:length]`` ends with the rule's suffix."""
    size = rules.numbers[row, SIZE]
    return size <= length and same_units(word, length - size, rules.letters[row], 0, size)


@compiled
def first_suffix(word: U16, length: int, rules: Suffixes) -> int:
    """Return the first rule whose suffix ends ``word[:length]``, or -1."""
    for row in range(rules.numbers.shape[0]):
        if ends_with(word, length, rules, row):
            return row
    return -1


@compiled
def replace_suffix(word: U16, length: int, rules: Suffixes, row: int) -> int:
    """Put the rule's replacement in place of its suffix, and return the new length."""
    size, added = rules.numbers[row, SIZE], rules.numbers[row, ADDED]
    for k in range(added):
        word[length - size + k] = rules.letters[row, size + k]
    new_length: int = length - size + added
    return new_length
