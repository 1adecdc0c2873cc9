"""Preferences and labels of judgments from elsewhere: what can mean two things is refused or named."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.judgment_files import pairs, values

from dialoeval.errors import UserError
from dialoeval.judging.imported import read_judgments_file, settings_of
from dialoeval.judging.values import ValueMap


@pytest.mark.parametrize("found", [[1], [0, 1], [1, 2], [2, 5, 3], [0], [-3, 1], [0.5, 1, 0], [100, 50], [-1, 0, 1, 2]])
def test_numbers_that_do_not_say_whom_they_prefer_are_refused_whatever_occurs(tmp_path, found):
    file = pairs(tmp_path, *(("X", "Y", value) for value in found))
    with pytest.raises(UserError, match=r'pairs.tsv, line 2: field "relevance" is .* --values .* --points'):
        values(file)


@pytest.mark.parametrize("found", [[1, 0, -1], ["1.0", "0.0", "-1.0"], ["+1", "0", "-1"], [" 1 ", " 0", "-1 "]])
def test_one_zero_and_minus_one_together_are_codes(tmp_path, found):
    assert values(pairs(tmp_path, *(("X", "Y", value) for value in found))) == [1, 0, -1]


def test_numbers_of_json_are_codes_too(tmp_path):
    file = tmp_path / "f.jsonl"
    rows = [{"id": i, "worker": 7.0, "system_a": "X", "system_b": "Y", "relevance": v} for i, v in enumerate([1, -1.0])]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    judgments = read_judgments_file(str(file))
    assert [row.value for row in judgments.rows] == [1, -1] and judgments.rows[0].judge == "7"


@pytest.mark.parametrize(
    ("points", "given_values", "read"),
    [
        ("1-5", [1, 2, 3, 4, 5], [1, 1, 0, -1, -1]),
        ("1-7", [1, 4, 7], [1, 0, -1]),
        ("0-100", [49, 50, 51], [1, 0, -1]),
        ("1-4", [1, 2, 3, 4], [1, 1, -1, -1]),
        ("0-1", [0, 1], [1, -1]),
    ],
)
def test_a_scale_of_pairs_prefers_the_first_below_its_middle(tmp_path, points, given_values, read):
    file = pairs(tmp_path, *(("X", "Y", value) for value in given_values))
    assert values(file, points=points) == read
    note = read_judgments_file(file, settings_of(None, None, points)).notes[0]
    assert "as the first system" in note and "first: column system_a; second: column system_b" in note
    with pytest.raises(UserError, match="not a whole number from"):
        values(pairs(tmp_path, ("X", "Y", 101)), points=points)


@pytest.mark.parametrize("value", [1, 2, 3, 4, 5])
def test_a_scale_does_not_depend_on_the_values_that_occur(tmp_path, value):
    file = pairs(tmp_path, *[("X", "Y", value)] * 4)
    assert set(values(file, points="1-5")) == {(value < 3) - (value > 3)}
    swapped = pairs(tmp_path, ("X", "Y", 3), ("Y", "X", value), name="swapped.tsv")
    assert values(swapped, points="1-5")[1] == (value > 3) - (value < 3)


def test_a_scale_around_zero_needs_its_direction(tmp_path):
    file = pairs(tmp_path, *(("X", "Y", value) for value in (-3, 0, 2)))
    with pytest.raises(UserError, match=r"write --values=-3\.\.-1=first,0=same,1\.\.3=second, or .* the other way"):
        values(file, points="-3..3")
    assert values(file, named="-3..-1=first,0=same,1..3=second") == [1, 0, -1]
    assert values(file, named="-3..-1=second,0=tie,1..3=first") == [-1, 0, 1]


def test_a_scale_without_numbers_is_refused(tmp_path):
    with pytest.raises(UserError, match="no preference is a number"):
        values(pairs(tmp_path, ("X", "Y", "first")), points="1-5")


def test_a_user_names_what_values_mean(tmp_path):
    file = pairs(tmp_path, ("X", "Y", 0), ("X", "Y", "1.0"), ("X", "Y", 2), ("Y", "X", 0))
    assert values(file, named="0=first,1=second,2=tie") == [1, -1, 0, -1]
    with pytest.raises(UserError, match=r"line 4: .* numbers of this question .2. do not say"):
        values(file, named="0=first,1=second")
    words = pairs(tmp_path, ("X", "Y", "Much Better"), ("X", "Y", "much  worse "), ("X", "Y", "Y"), name="words.tsv")
    assert values(words, named="much better=first,much worse=second") == [1, -1, -1]
    notes = read_judgments_file(words, settings_of(None, None, None, "much better=first,much worse=second")).notes
    assert "'Much Better' as the first system" in notes[0] and "a system's name as that system" in notes[0]


def test_values_of_ratings_stand_for_points(tmp_path):
    file = tmp_path / "r.csv"
    file.write_text("judge,id,system,question,value\nj,1,S,fluency,Strongly Agree\nj,2,S,fluency,disagree\n")
    assert values(str(file), named="strongly agree=5,disagree=2") == [5, 2]
    notes = read_judgments_file(str(file), settings_of(None, None, "1-5", "strongly agree=5,disagree=2")).notes
    assert notes[0] == "ratings were read so: 'Strongly Agree' as 5, 'disagree' as 2"
    with pytest.raises(UserError, match=r"is 'Strongly Agree', not a whole number .* --values LABEL=POINT"):
        values(str(file))
    with pytest.raises(UserError, match="'first' is not a number; of ratings"):
        values(str(file), named="disagree=first")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0", "is not VALUE=MEANING"),
        ("0=first,0.0=second", "named twice"),
        ("a=first,A=second", "named twice"),
        ("1..3=first,3=same", "named twice"),
        ("5..1=first", "named twice, or is a range from high to low"),
        ("=first", "is not VALUE=MEANING"),
    ],
)
def test_value_maps_that_mean_nothing(text, said):
    with pytest.raises(UserError, match=said):
        ValueMap.parse(text)


def test_a_preference_has_three_meanings(tmp_path):
    with pytest.raises(UserError, match="'left' is not first, second, same or tie"):
        values(pairs(tmp_path, ("X", "Y", 0)), named="0=left")


@pytest.mark.parametrize(
    ("systems", "value", "by_name", "by_position"),
    [
        (("b", "a"), "a", -1, 1),
        (("b", "a"), "B", 1, -1),
        (("left", "X"), "right", None, -1),
        (("X", "first"), "first", -1, 1),
        (("tie", "X"), "tie", 1, 0),
        (("X", "same"), "Same", -1, 0),
        (("X", "model_a"), "model_a", -1, 1),
        (("second", "system_a"), "system_a", -1, 1),
    ],
)
def test_names_that_are_words_for_a_side(tmp_path, systems, value, by_name, by_position):
    file = pairs(tmp_path, (*systems, value))
    if by_name is None:  # no system of that name: no doubt
        assert values(file) == [by_position]
        return
    with pytest.raises(UserError, match=r'line 2: field "relevance" is .* also a word .* --values names, --values pos'):
        values(file)
    assert values(file, named="names") == [by_name]
    assert values(file, named="positions") == [by_position]


def test_a_word_that_is_a_system_of_another_row_is_refused(tmp_path):
    file = pairs(tmp_path, ("a", "b", "a"), ("b", "c", "a"))
    with pytest.raises(UserError, match=r"line 3: .* is 'a', a system's name that is also a word"):
        values(file)
    assert values(pairs(tmp_path, ("a", "b", "a"), ("a", "b", "b"), name="agree.tsv")) == [1, -1]  # both readings agree
    with pytest.raises(UserError, match=r"line 3: .* not a preference"):
        values(file, named="names")


def test_names_that_are_numbers(tmp_path):
    file = pairs(tmp_path, ("1", "0", 0), ("1", "0", 1), ("0", "1", 1))
    with pytest.raises(UserError, match="'0', a system's name that may also be a code"):
        values(file)
    assert values(file, named="names") == [-1, 1, 1]
    assert values(file, named="0=first,1=second") == [1, -1, 1]
    with pytest.raises(UserError, match="do not say whom they prefer"):
        values(file, named="positions")


def test_columns_of_the_other_side_make_words_for_sides_no_guess(tmp_path):
    file = pairs(tmp_path, ("X", "Y", "system_a"), ("X", "Y", "Y"))
    assert values(file, columns="first=system_b,second=system_a") == [-1, 1]
    with pytest.raises(UserError, match="'a', not a preference"):
        values(pairs(tmp_path, ("X", "Y", "a")), columns="first=system_b,second=system_a")


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 9), st.data(), st.sampled_from([("X", "Y"), ("gpt 2", "gpt 3")]))
def test_a_scale_and_its_named_ranges_say_the_same(tmp_path_factory, highest, data, names):
    rows = data.draw(st.lists(st.tuples(st.permutations(names), st.integers(1, highest)), min_size=1, max_size=12))
    file = pairs(tmp_path_factory.mktemp("scale"), *((*systems, value) for systems, value in rows))
    named = f"1..{highest // 2}=first,{highest // 2 + 1 + highest % 2}..{highest}=second"
    named += f",{highest // 2 + 1}=same" if highest % 2 else ""
    assert values(file, points=f"1-{highest}") == values(file, named=named)


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(8)), st.sampled_from(["either", "names"]))
def test_the_order_of_rows_does_not_change_who_wins(tmp_path_factory, order, reading):
    rows = [("X", "Y", "X"), ("Y", "X", "x "), ("X", "Y", "tie"), ("Y", "X", "Y")] * 2
    file = pairs(tmp_path_factory.mktemp("order"), *(rows[i] for i in order))
    read = read_judgments_file(file, settings_of(None, None, None, None if reading == "either" else reading)).rows
    winners = [0 if row.value == 0 else row.systems[0 if row.value > 0 else 1] for row in read]
    assert winners == [["X", "X", 0, "Y"][i % 4] for i in order]
