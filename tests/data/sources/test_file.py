"""A user's own files: every format and shape of column; what is bad is named by file, line and field."""

from __future__ import annotations

import json

import pandas
import pytest

from dialoeval import data
from dialoeval.config.schema import ColumnsConfig, DatasetConfig
from dialoeval.errors import UserError

ROWS = [
    {"id": "a", "context": ["hi", 'hello, "you"'], "references": ["how are you?", "hey"]},
    {"id": "b", "context": ["naïve café\nsecond line"], "references": ["ok"]},
]


def config(path, **settings):
    columns = settings.pop("columns", {})
    return DatasetConfig(name="mine", kind="file", path=str(path), columns=ColumnsConfig(**columns), **settings)


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def shape(dataset):
    return [(e.id, e.context, e.references) for e in dataset.examples]


EXPECTED = [(row["id"], tuple(row["context"]), tuple(row["references"])) for row in ROWS]


@pytest.mark.parametrize("kind", ["jsonl", "json", "columns.json", "parquet"])
def test_formats_give_the_same_examples(tmp_path, kind):
    path = tmp_path / f"data.{kind}"
    frame = pandas.DataFrame(ROWS)
    if kind == "jsonl":
        write(path, b"\xef\xbb\xbf" + lines(ROWS[0]).replace("\n", "\r\n").encode() + b"\n" + lines(ROWS[1]).encode())
    elif kind == "json":
        frame.to_json(path, orient="records")
    elif kind == "columns.json":
        frame.to_json(path, orient="values")
        write(path, json.dumps({name: [row[name] for row in ROWS] for name in ROWS[0]}))
    else:
        frame.to_parquet(path)
    dataset = data.load(config(path))
    assert shape(dataset) == EXPECTED
    assert dataset.fingerprint == data.load(config(path)).fingerprint


def test_csv_written_by_pandas_comes_back_whole(tmp_path):
    table = pandas.DataFrame(
        {
            "key": [1, 2],
            "t1": ["", 'a, "b"\nc'],
            "t2": ["one", "two"],
            "r1": ["yes", "x"],
            "r2": ["", "y"],
        }
    )
    table.to_csv(tmp_path / "d.csv", index=False)
    columns = {"id": "key", "context": ["t1", "t2"], "references": ["r1", "r2"]}
    assert shape(data.load(config(tmp_path / "d.csv", columns=columns))) == [
        ("1", ("one",), ("yes",)),
        ("2", ('a, "b"\nc', "two"), ("x", "y")),
    ]


def test_tsv_takes_quotation_marks_as_they_are(tmp_path):
    path = write(tmp_path / "d.tsv", 'context\treferences\n"hi" he said EOS yes\t"\n')
    dataset = data.load(config(path, columns={"turn_separator": " EOS "}))
    assert shape(dataset) == [("1", ('"hi" he said', "yes"), ('"',))]


def test_dots_lead_into_objects_and_lists_of_objects(tmp_path):
    row = {"meta": {"key": 7}, "messages": [{"content": "hi"}, {"content": "yo"}], "answer": {"text": "ok"}}
    columns = {"id": "meta.key", "context": "messages.content", "references": "answer.text"}
    assert shape(data.load(config(write(tmp_path / "d.jsonl", lines(row)), columns=columns))) == [
        ("7", ("hi", "yo"), ("ok",))
    ]


def test_whole_conversations_give_an_example_a_reply(tmp_path):
    path = write(tmp_path / "d.jsonl", lines({"turns": ["a", "b", "c"]}, {"turns": ["d"]}, {"turns": ["e", "f"]}))
    mine = config(path, columns={"turns": "turns"}, context_turns=1)
    assert shape(data.load(mine)) == [("1:1", ("a",), ("b",)), ("1:2", ("b",), ("c",)), ("3:1", ("e",), ("f",))]
    assert data.dialogues(mine) == [("a", "b", "c"), ("d",), ("e", "f")]


def test_contexts_with_references_are_dialogues_to_train_on(tmp_path):
    path = write(tmp_path / "d.jsonl", lines(*ROWS))
    first = tuple(ROWS[0]["context"])
    assert data.dialogues(config(path, limit=1)) == [(*first, "how are you?"), (*first, "hey")]
    assert data.dialogues(config(path, limit=1, columns={"references": []})) == [first]


def test_limit_reads_no_further(tmp_path):
    path = write(tmp_path / "d.jsonl", lines(ROWS[0]) + "broken\n")
    assert len(data.load(config(path, limit=1)).examples) == 1
    with pytest.raises(UserError, match=r"limit must be at least 1"):
        data.load(config(path, limit=0))


GOOD = json.dumps(ROWS[0])
BAD_LINES = [
    ("{", r"line 2: not JSON"),
    ("[1]", r"line 2: expected a JSON object, found list"),
    ('{"context": 3, "references": ["x"]}', r"line 2: field 'context': expected a string or a list of strings"),
    ('{"context": ["a", ""], "references": ["x"]}', r"line 2: field 'context': entry 2 of the list is empty"),
    ('{"context": ["a", 5], "references": ["x"]}', r"line 2: field 'context': entry 2 of the list must be a string"),
    ('{"context": "  ", "references": ["x"]}', r"line 2: field 'context' is empty"),
    ('{"context": ["a"], "references": []}', r"line 2: field 'references': no reference"),
    ('{"context": ["a"], "references": null}', r"line 2: field 'references': .*found nothing"),
    ('{"context": ["\\ud800"], "references": ["x"]}', r"line 2: field 'context' contains a lone surrogate"),
    ('{"id": "a", "context": ["a"], "references": ["x"]}', r"line 2: duplicate id 'a' \(.*line 1\)"),
    ('{"id": true, "context": ["a"], "references": ["x"]}', r"line 2: field 'id': an id must be"),
    (b'{"context": ["\xff"], "references": ["x"]}', r"line 2: not UTF-8 text \(byte 0xff\)"),
]


@pytest.mark.parametrize(("bad", "message"), BAD_LINES)
def test_a_bad_line_is_named_or_skipped_and_counted(tmp_path, bad, message):
    raw = bad if isinstance(bad, bytes) else bad.encode()
    last = json.dumps({**ROWS[1], "id": "z"})
    path = write(tmp_path / "d.jsonl", GOOD.encode() + b"\n" + raw + b"\n" + last.encode())
    with pytest.raises(UserError, match=message) as error:
        data.load(config(path))
    assert str(path) in str(error.value) and "skip_bad" in str(error.value)
    dataset = data.load(config(path, skip_bad=True))
    assert [example.id for example in dataset.examples] == ["a", "z"]
    ((where, why),) = dataset.skipped
    assert where == f"{path}, line 2" and why


BAD_TABLES = [
    ('context,references\na,b\n"c\nd",e,f\ng,h\n', r"line 3: 3 fields under 2 column names", 2),
    ('context,references\na,b\n"c"d,e\ng,h\n', r"line 3: not a readable row", 2),
    (b"context,references\na,b\nc,\xe9\ng,h\n", r"line 3: field 'references': not UTF-8 text", 2),
    ('context,references\na,b\ng,h\n"unclosed,x\n', r"line 4: not a readable row: unexpected end of data", 2),
    ("context,references\na,b\n,x\ng,h\n", r"line 3: field 'context' is empty", 2),
]


@pytest.mark.parametrize(("table", "message", "good"), BAD_TABLES)
def test_a_bad_csv_row_is_named_by_the_line_it_starts_at(tmp_path, table, message, good):
    path = write(tmp_path / "d.csv", table)
    with pytest.raises(UserError, match=message):
        data.load(config(path))
    dataset = data.load(config(path, skip_bad=True))
    assert len(dataset.examples) == good and len(dataset.skipped) == 1


def test_a_row_after_a_quoted_line_end_has_the_right_line(tmp_path):
    path = write(tmp_path / "d.csv", 'context,references\n"two\nlines",x\n,y\n')
    with pytest.raises(UserError, match="line 4: field 'context' is empty"):
        data.load(config(path))


BAD_FILES = [
    ("d.jsonl", "", "is empty"),
    ("d.jsonl", "\n\n", "has no examples"),
    ("d.csv", "context,references\n", "has no examples"),
    ("d.csv", "context,context\na,b\n", "line 1: two columns are named 'context'"),
    ("d.csv", "\n\n", "line 1: expected a line of column names"),
    ("d.json", "{", "not JSON"),
    ("d.json", "3", "expected an array of objects"),
    ("d.json", '{"context": ["a"], "references": []}', "one object with lists of texts may be one row or columns"),
    ("d.json", '{"context": "a"}', "equally long arrays"),
    ("d.parquet", "PAR1 no", "not a readable Parquet file"),
    ("d.xlsx", "x", "plain text in which no conversation can be told"),
]


@pytest.mark.parametrize(("name", "text", "message"), BAD_FILES)
def test_a_file_that_is_not_a_table_is_an_error(tmp_path, name, text, message):
    with pytest.raises(UserError, match=message):
        data.load(config(write(tmp_path / name, text), skip_bad=True))


def test_a_column_that_is_not_there_is_an_error_even_when_skipping(tmp_path):
    path = write(tmp_path / "d.jsonl", lines(*ROWS))
    with pytest.raises(UserError, match=r"line 1: there is no column 'contexts'; did you mean 'context'\?"):
        data.load(config(path, skip_bad=True, columns={"context": "contexts"}))


def test_nothing_usable_says_how_much_was_bad(tmp_path):
    with pytest.raises(UserError, match=r"no row of mine can be used; 2 are bad, the first: .*line 1: not JSON"):
        data.load(config(write(tmp_path / "d.jsonl", "x\ny\n"), skip_bad=True))


def test_missing_path_or_file(tmp_path):
    with pytest.raises(UserError, match=r"dataset.path must be set"):
        data.load(DatasetConfig(name="m", kind="file"))
    with pytest.raises(UserError, match="there is no file"):
        data.load(config(tmp_path / "none.jsonl"))
    with pytest.raises(UserError, match="unknown dataset kind 'fil'; did you mean 'file'"):
        data.load(DatasetConfig(name="m", kind="fil"))


def test_skipped_training_rows_are_told(tmp_path, caplog):
    path = write(tmp_path / "d.jsonl", GOOD + "\nbroken\n")
    assert len(data.dialogues(config(path, skip_bad=True))) == 2
    assert "1 bad rows skipped; the first: " in caplog.text
    with pytest.raises(UserError, match="line 2: not JSON"):
        data.dialogues(config(path))
