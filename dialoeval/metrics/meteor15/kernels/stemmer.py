"""The Snowball "english" (Porter 2) stemmer as of 2010, the one METEOR 1.5 carries, on UTF-16 code units.

Later versions of the algorithm changed (more exceptional forms, other suffix rules), so no packaged stemmer gives the
same stems. The algorithm: https://snowballstem.org/algorithms/english/stemmer.html, in the version before 2.0.
"""

from __future__ import annotations

from dialoeval.metrics.meteor15.kernels.compiler import compiled
from dialoeval.metrics.meteor15.kernels.suffixes import (
    CONDITION,
    SIZE,
    Suffixes,
    first_suffix,
    parse_rules,
    replace_suffix,
    same_units,
    suffix_table,
)
from dialoeval.metrics.meteor15.layout import U16

ALWAYS, IN_R2, AFTER_L, AFTER_VALID_LI, AFTER_ST = range(5)  # conditions of rules

E, L, S, T, W, X, Y = map(ord, "elstwxy")
LETTER_I = ord("i")
MARKED_Y = ord("Y")  # a y that is a consonant
APOSTROPHE = ord("'")
VOWELS = tuple(map(ord, "aeiouy"))
VALID_LI = tuple(map(ord, "cdeghkmnrt"))


def _longest_first(rules: list[tuple[str, str, int]]) -> Suffixes:
    return suffix_table(sorted(rules, key=lambda rule: -len(rule[0])))


WHOLE_WORDS = _longest_first(
    parse_rules(
        "skis>ski skies>sky dying>die lying>lie tying>tie idly>idl gently>gentl ugly>ugli early>earli only>onli"
        " singly>singl sky>sky news>news howe>howe atlas>atlas cosmos>cosmos bias>bias andes>andes"
    )
)
KEPT_AFTER_1A = _longest_first(parse_rules("inning> outing> canning> herring> earring> proceed> exceed> succeed>"))
REGION_PREFIXES = _longest_first(parse_rules("gener> commun> arsen>"))
APOSTROPHES = _longest_first(parse_rules("'> 's> 's'>"))
STEP_1A = _longest_first(parse_rules("sses> ied> ies> s> us> ss>"))
STEP_1B = _longest_first(parse_rules("eed> eedly> ed> edly> ing> ingly>"))
AFTER_1B = _longest_first(parse_rules("at> bl> iz> bb> dd> ff> gg> mm> nn> pp> rr> tt>"))
STEP_2 = _longest_first(
    parse_rules(
        "tional>tion enci>ence anci>ance abli>able entli>ent izer>ize ization>ize ational>ate ation>ate ator>ate"
        " alism>al aliti>al alli>al fulness>ful ousli>ous ousness>ous iveness>ive iviti>ive biliti>ble bli>ble"
        " fulli>ful lessli>less"
    )
    + parse_rules("ogi>og", AFTER_L)
    + parse_rules("li>", AFTER_VALID_LI)
)
STEP_3 = _longest_first(
    parse_rules("tional>tion ational>ate alize>al icate>ic iciti>ic ical>ic ful> ness>") + parse_rules("ative>", IN_R2)
)
STEP_4 = _longest_first(
    parse_rules("al> ance> ence> er> ic> able> ible> ant> ement> ment> ent> ism> ate> iti> ous> ive> ize>")
    + parse_rules("ion>", AFTER_ST)
)


@compiled
def _is_vowel(unit: int) -> bool:
    return unit in VOWELS


@compiled
def _past_vowel_consonant(word: U16, start: int, length: int) -> int:
    """Return the index after the first vowel-consonant pair from `start` on, or `length`."""
    i = start
    while i < length and not _is_vowel(word[i]):
        i += 1
    while i < length and _is_vowel(word[i]):
        i += 1
    return min(i + 1, length)


@compiled
def _has_vowel(word: U16, length: int) -> bool:
    for i in range(length):  # noqa: SIM110 - numba does not compile generators
        if _is_vowel(word[i]):
            return True
    return False


@compiled
def _is_short(word: U16, length: int) -> bool:
    """Return whether the word ends in a short syllable (w, x and Y count as vowels at its end)."""
    if length >= 3:
        last = word[length - 1]
        if not (_is_vowel(last) or last in (W, X, MARKED_Y)) and _is_vowel(word[length - 2]):
            return not _is_vowel(word[length - 3])
    if length == 2:
        return not _is_vowel(word[1]) and _is_vowel(word[0])
    return False


@compiled
def _step_1a(word: U16, length: int) -> int:
    row = first_suffix(word, length, STEP_1A)
    if row < 0:
        return length
    size = STEP_1A.numbers[row, SIZE]
    if size == 4:  # sses
        return length - 2
    if size == 3:  # ied, ies
        return length - 2 if length - size >= 2 else length - 1
    if size == 1 and _has_vowel(word, length - 2):  # s
        return length - 1
    return length


@compiled
def _step_1b(word: U16, length: int, r1: int) -> int:
    row = first_suffix(word, length, STEP_1B)
    if row < 0:
        return length
    start: int = length - STEP_1B.numbers[row, SIZE]
    if word[start] == E and word[start + 1] == E:  # eed, eedly
        return start + 2 if start >= r1 else length
    if not _has_vowel(word, start):
        return length
    if first_suffix(word, start, AFTER_1B) >= 0:
        if word[start - 1] == word[start - 2]:
            return start - 1
        word[start] = E
        return start + 1
    if start == r1 and _is_short(word, start):
        word[start] = E
        return start + 1
    return start


@compiled
def _step_1c(word: U16, length: int) -> None:
    if length > 2:
        last = word[length - 1]
        if last in (Y, MARKED_Y) and not _is_vowel(word[length - 2]):
            word[length - 1] = LETTER_I


@compiled
def _step_2(word: U16, length: int, r1: int) -> int:
    row = first_suffix(word, length, STEP_2)
    if row < 0:
        return length
    start = length - STEP_2.numbers[row, SIZE]
    if start < r1:
        return length
    condition = STEP_2.numbers[row, CONDITION]
    before = word[start - 1] if start > 0 else 0
    if condition == AFTER_L and before != L:
        return length
    if condition == AFTER_VALID_LI and before not in VALID_LI:
        return length
    return replace_suffix(word, length, STEP_2, row)


@compiled
def _step_3(word: U16, length: int, r1: int, r2: int) -> int:
    row = first_suffix(word, length, STEP_3)
    if row < 0:
        return length
    start = length - STEP_3.numbers[row, SIZE]
    if start < (r2 if STEP_3.numbers[row, CONDITION] == IN_R2 else r1):
        return length
    return replace_suffix(word, length, STEP_3, row)


@compiled
def _step_4(word: U16, length: int, r2: int) -> int:
    row = first_suffix(word, length, STEP_4)
    if row < 0:
        return length
    start: int = length - STEP_4.numbers[row, SIZE]
    before = word[start - 1] if start > 0 else 0
    if start < r2 or (STEP_4.numbers[row, CONDITION] == AFTER_ST and before != S and before != T):
        return length
    return start


@compiled
def _step_5(word: U16, length: int, r1: int, r2: int) -> int:
    end = length - 1
    if end >= 0 and word[end] == E and (end >= r2 or (end >= r1 and not _is_short(word, end))):
        return end
    if end > 0 and word[end] == L and end >= r2 and word[end - 1] == L:
        return end
    return length


@compiled
def _region_1(word: U16, length: int) -> int:
    """Return where the region after the first vowel-consonant pair begins (later for three prefixes)."""
    for row in range(REGION_PREFIXES.numbers.shape[0]):
        size: int = REGION_PREFIXES.numbers[row, SIZE]
        if size <= length and same_units(word, 0, REGION_PREFIXES.letters[row], 0, size):
            return size
    return _past_vowel_consonant(word, 0, length)


@compiled
def _run_steps(word: U16, length: int) -> int:
    """Stem a word of three letters or more whose consonant y's are marked, and return the new length."""
    r1 = _region_1(word, length)
    r2 = _past_vowel_consonant(word, r1, length)
    row = first_suffix(word, length, APOSTROPHES)
    if row >= 0:
        length -= APOSTROPHES.numbers[row, SIZE]
    length = _step_1a(word, length)
    row = first_suffix(word, length, KEPT_AFTER_1A)
    if row >= 0 and KEPT_AFTER_1A.numbers[row, SIZE] == length:
        return length
    length = _step_1b(word, length, r1)
    _step_1c(word, length)
    length = _step_2(word, length, r1)
    length = _step_3(word, length, r1, r2)
    length = _step_4(word, length, r2)
    return _step_5(word, length, r1, r2)


@compiled
def stem(word: U16, length: int) -> int:
    """Stem ``word[:length]`` in place, and return the stem's length. `word` has room for one more code unit."""
    row = first_suffix(word, length, WHOLE_WORDS)
    if row >= 0 and WHOLE_WORDS.numbers[row, SIZE] == length:
        return replace_suffix(word, length, WHOLE_WORDS, row)
    if length < 3:
        return length
    if word[0] == APOSTROPHE:
        length -= 1
        for i in range(length):
            word[i] = word[i + 1]
    marked = False
    for i in range(length):
        if word[i] == Y and (i == 0 or _is_vowel(word[i - 1])):
            word[i] = MARKED_Y
            marked = True
    length = _run_steps(word, length)
    if marked:
        for i in range(length):
            if word[i] == MARKED_Y:
                word[i] = Y
    return length
