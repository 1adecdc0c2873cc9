"""The Snowball "english" (Porter 2) stemmer as of 2010, the one METEOR 1.5 carries, on UTF-16 code units.

Later versions of the algorithm changed (more exceptional forms, other suffix rules), so no packaged stemmer gives the
same stems. The algorithm: https://snowballstem.org/algorithms/english/stemmer.html, in the version before 2.0.

The module is compiled (see `native.py`): it imports numba and is imported only for that.
"""

from __future__ import annotations

import numba
import numpy as np

compiled = numba.njit(error_model="numpy", boundscheck=False, _nrt=False)

DELETE, R2_DELETE, AFTER_L, VALID_LI, AFTER_ST = 0, 1, 2, 3, 4


def _table(rules: list[tuple[str, str, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Rules (suffix, replacement, condition), longest suffix first, as rows of characters and of three numbers.

    Each row of the first array holds suffix and replacement one after the other; the second holds their lengths and
    the condition.
    """
    rules = sorted(rules, key=lambda rule: -len(rule[0]))
    width = max(len(suffix) + len(replacement) for suffix, replacement, _ in rules)
    letters = np.zeros((len(rules), width), np.uint16)
    numbers = np.zeros((len(rules), 3), np.int64)
    for row, (suffix, replacement, condition) in enumerate(rules):
        letters[row, : len(suffix) + len(replacement)] = [ord(letter) for letter in suffix + replacement]
        numbers[row] = len(suffix), len(replacement), condition
    return letters, numbers


def _rules(text: str, condition: int = DELETE) -> list[tuple[str, str, int]]:
    """``"tional>tion ness>"`` as rules: each suffix, what replaces it, and the condition."""
    return [(*rule.split(">"), condition) for rule in text.split()]


WHOLE_WORDS = _table(
    _rules(
        "skis>ski skies>sky dying>die lying>lie tying>tie idly>idl gently>gentl ugly>ugli early>earli only>onli"
        " singly>singl sky>sky news>news howe>howe atlas>atlas cosmos>cosmos bias>bias andes>andes"
    )
)
KEPT_AFTER_1A = _table(_rules("inning> outing> canning> herring> earring> proceed> exceed> succeed>"))
REGION_PREFIXES = _table(_rules("gener> commun> arsen>"))
APOSTROPHES = _table(_rules("'> 's> 's'>"))
STEP_1A = _table(_rules("sses> ied> ies> s> us> ss>"))
STEP_1B = _table(_rules("eed> eedly> ed> edly> ing> ingly>"))
AFTER_1B = _table(_rules("at> bl> iz> bb> dd> ff> gg> mm> nn> pp> rr> tt>"))
STEP_2 = _table(
    _rules(
        "tional>tion enci>ence anci>ance abli>able entli>ent izer>ize ization>ize ational>ate ation>ate ator>ate"
        " alism>al aliti>al alli>al fulness>ful ousli>ous ousness>ous iveness>ive iviti>ive biliti>ble bli>ble"
        " fulli>ful lessli>less"
    )
    + _rules("ogi>og", AFTER_L)
    + _rules("li>", VALID_LI)
)
STEP_3 = _table(
    _rules("tional>tion ational>ate alize>al icate>ic iciti>ic ical>ic ful> ness>") + _rules("ative>", R2_DELETE)
)
STEP_4 = _table(
    _rules("al> ance> ence> er> ic> able> ible> ant> ement> ment> ent> ism> ate> iti> ous> ive> ize>")
    + _rules("ion>", AFTER_ST)
)


@compiled
def _is_vowel(unit):
    return unit == 97 or unit == 101 or unit == 105 or unit == 111 or unit == 117 or unit == 121


@compiled
def _suffix(word, length, letters, numbers):
    """The row of the longest suffix that `word` ends in, or -1."""
    for row in range(numbers.shape[0]):
        size = numbers[row, 0]
        if size > length:
            continue
        equal = True
        for k in range(size):
            if word[length - size + k] != letters[row, k]:
                equal = False
                break
        if equal:
            return row
    return -1


@compiled
def _replace(word, length, letters, numbers, row):
    """Put the row's replacement in place of its suffix; the new length."""
    size = numbers[row, 0]
    start = length - size
    for k in range(numbers[row, 1]):
        word[start + k] = letters[row, size + k]
    return start + numbers[row, 1]


@compiled
def _past_vowel_consonant(word, start, length):
    """The place after the first vowel that is followed by a consonant from `start` on, or -1."""
    i = start
    while i < length and not _is_vowel(word[i]):
        i += 1
    while i < length and _is_vowel(word[i]):
        i += 1
    return i + 1 if i < length else -1


@compiled
def _has_vowel(word, length):
    for i in range(length):  # noqa: SIM110 - numba takes no generators
        if _is_vowel(word[i]):
            return True
    return False


@compiled
def _is_short(word, length):
    """Whether the word ends in a short syllable (w, x and Y count as vowels at its end)."""
    if length >= 3:
        last = word[length - 1]
        if not (_is_vowel(last) or last == 119 or last == 120 or last == 89) and _is_vowel(word[length - 2]):
            return not _is_vowel(word[length - 3])
    if length == 2:
        return not _is_vowel(word[1]) and _is_vowel(word[0])
    return False


@compiled
def _step_1b(word, length, p1):
    row = _suffix(word, length, *STEP_1B)
    if row < 0:
        return length
    start = length - STEP_1B[1][row, 0]
    if word[start] == 101 and word[start + 1] == 101:  # eed, eedly
        return start + 2 if start >= p1 else length
    if not _has_vowel(word, start):
        return length
    length = start
    row = _suffix(word, length, *AFTER_1B)
    if row >= 0:
        if word[length - 1] == word[length - 2]:
            return length - 1
        word[length] = 101
        return length + 1
    if length == p1 and _is_short(word, length):
        word[length] = 101
        return length + 1
    return length


@compiled
def _steps_2_to_4(word, length, p1, p2):
    row = _suffix(word, length, *STEP_2)
    if row >= 0 and length - STEP_2[1][row, 0] >= p1:
        start = length - STEP_2[1][row, 0]
        condition = STEP_2[1][row, 2]
        allowed = True
        if condition == AFTER_L:
            allowed = start > 0 and word[start - 1] == 108
        elif condition == VALID_LI:
            before = word[start - 1] if start > 0 else 0
            allowed = (
                99 <= before <= 101
                or before == 103
                or before == 104
                or before == 107
                or before == 109
                or before == 110
                or before == 114
                or before == 116
            )  # cdeghkmnrt
        if allowed:
            length = _replace(word, length, *STEP_2, row)
    row = _suffix(word, length, *STEP_3)
    if row >= 0:
        start = length - STEP_3[1][row, 0]
        if start >= p1 and (STEP_3[1][row, 2] == DELETE or start >= p2):
            length = _replace(word, length, *STEP_3, row)
    row = _suffix(word, length, *STEP_4)
    if row >= 0:
        start = length - STEP_4[1][row, 0]
        if start >= p2:
            before = word[start - 1] if start > 0 else 0
            if STEP_4[1][row, 2] == DELETE or before == 115 or before == 116:
                length = start
    return length


@compiled
def stem(word, length):
    """Stem ``word[:length]`` (UTF-16 code units, room for one more) in place; the stem's length."""
    row = _suffix(word, length, *WHOLE_WORDS)
    if row >= 0 and WHOLE_WORDS[1][row, 0] == length:
        return _replace(word, length, *WHOLE_WORDS, row)
    if length < 3:
        return length
    if word[0] == 39:
        for i in range(1, length):
            word[i - 1] = word[i]
        length -= 1
    marked = False
    for i in range(length):
        if word[i] == 121 and (i == 0 or _is_vowel(word[i - 1])):
            word[i] = 89
            marked = True

    p1 = -1
    for row in range(REGION_PREFIXES[1].shape[0]):
        size = REGION_PREFIXES[1][row, 0]
        if size <= length:
            equal = True
            for k in range(size):
                equal &= word[k] == REGION_PREFIXES[0][row, k]
            if equal:
                p1 = size
    if p1 < 0:
        p1 = _past_vowel_consonant(word, 0, length)
    p2 = _past_vowel_consonant(word, p1, length) if p1 >= 0 else -1
    p1 = length if p1 < 0 else p1
    p2 = length if p2 < 0 else p2

    length = _stem_marked(word, length, p1, p2)
    if marked:
        for i in range(length):
            if word[i] == 89:
                word[i] = 121
    return length


@compiled
def _stem_marked(word, length, p1, p2):
    row = _suffix(word, length, *APOSTROPHES)
    if row >= 0:
        length -= APOSTROPHES[1][row, 0]
    row = _suffix(word, length, *STEP_1A)
    if row >= 0:
        size = STEP_1A[1][row, 0]
        start = length - size
        if size == 4:  # sses
            length -= 2
        elif size == 3:  # ied, ies
            length -= 2 if start >= 2 else 1
        elif size == 1 and _has_vowel(word, start - 1):  # s
            length -= 1
    row = _suffix(word, length, *KEPT_AFTER_1A)
    if row >= 0 and KEPT_AFTER_1A[1][row, 0] == length:
        return length
    length = _step_1b(word, length, p1)
    if length > 2 and (word[length - 1] == 121 or word[length - 1] == 89) and not _is_vowel(word[length - 2]):
        word[length - 1] = 105
    length = _steps_2_to_4(word, length, p1, p2)
    if length > 0:
        end = length - 1
        if word[end] == 101 and (end >= p2 or (end >= p1 and not _is_short(word, end))):
            return end
        if word[end] == 108 and end >= p2 and end > 0 and word[end - 1] == 108:
            return end
    return length
