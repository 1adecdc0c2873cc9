"""Rows of references and hypotheses: every form that is accepted; file, line and field of what is not."""

from __future__ import annotations

import json

import pytest

from dialoeval.data.rows import HypothesisRow, ReferenceRow, read_hypothesis_rows, read_reference_rows
from dialoeval.errors import UserError


@pytest.fixture
def file(tmp_path):
    def write(*rows):
        path = tmp_path / "rows.jsonl"
        path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
        return path

    return write


def test_every_form_of_references(file):
    path = file({"id": "a", "references": ["x", ""]}, "", {"id": 7, "references": "y"}, {"references": []})
    first, second, third = read_reference_rows(path)
    assert first == ReferenceRow(f"{path}, line 1", "a", ("x", ""))
    assert (second.where, second.key, second.references) == (f"{path}, line 3", "7", ("y",))
    assert third.id is None and third.references == ()
    with pytest.raises(UserError, match='line 4: field "id" is missing: every line needs'):
        _ = third.key


def test_every_form_of_hypotheses(file):
    path = file({"id": 1, "reply": "", "system": "S", "context": ["x", "y"]}, {"reply": "z", "context": "x"})
    assert list(read_hypothesis_rows(path)) == [
        HypothesisRow(f"{path}, line 1", "1", "", "S", ("x", "y")),
        HypothesisRow(f"{path}, line 2", None, "z", None, ("x",)),
    ]


BAD_REFERENCES = [
    ({"id": "a"}, 'field "references" must be a list of strings'),
    ({"id": "a", "references": [1]}, 'field "references" must be a list of strings'),
    ({"id": True, "references": []}, 'field "id" must be a string or an integer'),
    ({"id": 1.5, "references": []}, 'field "id" must be a string or an integer'),
    ("[1]", "expected a JSON object, found list"),
    ("{", "not JSON: "),
    ('{"id": ' + "9" * 5000 + "}", "not JSON: "),
]


@pytest.mark.parametrize(("row", "message"), BAD_REFERENCES)
def test_a_bad_row_is_named_or_skipped(file, row, message):
    path = file({"id": "a", "references": ["x"]}, row, {"id": "b", "references": ["y"]})
    with pytest.raises(UserError) as error:
        list(read_reference_rows(path))
    assert str(error.value).startswith(f"{path}, line 2: {message}")
    bad_rows = []
    assert [row.id for row in read_reference_rows(path, bad_rows=bad_rows)] == ["a", "b"]
    assert [str(bad) for bad in bad_rows] == [str(error.value)]


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"references": ["x"]}, "id"),
        ({"id": 1, "references": []}, "id"),
        ({"id": "a", "references": "x"}, "references"),
    ],
)
def test_strictly_an_id_is_a_string_and_references_a_list(file, row, field):
    assert len(list(read_reference_rows(file(row)))) == 1
    with pytest.raises(UserError, match=f'line 1: field "{field}" must be a'):
        list(read_reference_rows(file(row), strict=True))


@pytest.mark.parametrize(
    ("change", "field"),
    [({"reply": None}, "reply"), ({"system": 3}, "system"), ({"context": [3]}, "context"), ({"id": []}, "id")],
)
def test_fields_of_a_hypothesis(file, change, field):
    with pytest.raises(UserError, match=f'line 1: field "{field}" must be a'):
        list(read_hypothesis_rows(file({"id": "a", "reply": "x"} | change)))
