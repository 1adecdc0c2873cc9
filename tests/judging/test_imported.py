"""Judgments from files: the public DSTC7 ratings, own columns, our own rows; errors name file, line, field."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.judgment_rows import preferences

from dialoeval.errors import UserError
from dialoeval.judging.column_map import ColumnMap
from dialoeval.judging.imported import read_judgments_file, settings_of
from dialoeval.judging.judgments import StudyKind
from dialoeval.judging.pools import parse_pools, pooled

DSTC7 = "\ufeffJudgeID\tInstanceID\tSystemID\tRelevance\tInformativeness\n"


def written(tmp_path, text, name="judgments.tsv"):
    file = tmp_path / name
    file.write_text(text, "utf-8")
    return str(file)


@pytest.mark.oracle
def test_public_ratings_of_dstc7_are_read_whole(shared):
    judgments = read_judgments_file(str(shared / "dstc7" / "human_judgments.tsv"))
    assert judgments.kind == StudyKind.likert and len(judgments.rows) == 66_000 and len(judgments.systems) == 11
    assert len({row.judge for row in judgments.rows}) == 317
    counts = {q.name: [0] * 5 for q in judgments.questions}
    for row in judgments.rows:
        counts[row.question][row.value - 1] += 1
    assert counts["relevance"] == [7818, 6370, 6170, 9655, 2987]
    assert counts["informativeness"] == [8512, 7617, 6481, 7778, 2612]
    assert judgments.notes[0].startswith("54 items were judged more than once by the same judge")


def test_a_byte_order_mark_and_repeats_are_accepted(tmp_path):
    file = written(tmp_path, DSTC7 + "j\tc\tS\t3\t4\nj\tc\tS\t2\t5\n")
    judgments = read_judgments_file(file)
    assert [(row.question, row.value) for row in judgments.rows] == [
        ("relevance", 3),
        ("informativeness", 4),
        ("relevance", 2),
        ("informativeness", 5),
    ]
    assert judgments.notes == (
        "1 item was judged more than once by the same judge; all these judgments are counted",
        "ratings lie on a scale from 1 to 5 (--points names another)",
        "columns read: JudgeID as judge, InstanceID as context, SystemID as system, Relevance, Informativeness; "
        "no other columns",
    )


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("j\tc\tS\t6\t3", "line 2: field \"Relevance\" is '6', not a whole number from 1 to 5"),
        ("j\tc\tS\t\t3", 'line 2: field "Relevance" is empty, not a whole number'),
        ("j\tc\tS\t2.5\t3", "line 2: field \"Relevance\" is '2.5'"),
        ("j\tc\tS\tnan\t3", "line 2: field \"Relevance\" is 'nan'"),
        ("j\tc\tS\tinf\t3", "line 2: field \"Relevance\" is 'inf'"),
        ("\tc\tS\t2\t3", 'line 2: field "JudgeID" is empty'),
        ("j\tc\t \t2\t3", 'line 2: field "SystemID" is empty'),
        ("j\tc\tS\t2", "line 2: 4 fields under 5 column names"),
    ],
)
def test_bad_cells_are_named(tmp_path, row, said):
    file = written(tmp_path, DSTC7 + row + "\n")
    with pytest.raises(UserError) as error:
        read_judgments_file(file)
    assert file in str(error.value) and said in str(error.value)


def test_a_missing_column_is_named_with_those_that_exist(tmp_path):
    file = written(tmp_path, "who\tcontext\tsystem\tRelevance\nj\tc\tS\t3\n")
    with pytest.raises(UserError, match=r"no column is known to hold judge .columns: who, context, system, Relevance"):
        read_judgments_file(file)
    with pytest.raises(UserError, match="no column 'whoo' for judge"):
        read_judgments_file(file, settings_of("judge=whoo", None, None))
    assert read_judgments_file(file, settings_of("judge=who", None, None)).rows[0].judge == "j"


def test_wide_ratings_with_columns_and_scale_of_their_own(tmp_path):
    file = written(tmp_path, "worker,dialogue,bot,q1,q2\nw,d,B,7,1\n", "r.csv")
    judgments = read_judgments_file(
        file, settings_of("judge=worker,context=dialogue,system=bot,fluency=q1,wit=q2", "likert", "1-7")
    )
    assert [(row.question, row.value) for row in judgments.rows] == [("fluency", 7), ("wit", 1)]
    assert [point for point, _ in judgments.questions[0].points] == list(range(1, 8))
    with pytest.raises(UserError, match=r'line 2: field "q1" is .7., not a whole number from 1 to 5'):
        read_judgments_file(file, settings_of("judge=worker,context=dialogue,system=bot,fluency=q1", None, None))


def test_long_pairs_of_any_wording_are_mapped_to_the_order_of_the_systems(tmp_path):
    rows = [
        {"judge": "j", "id": "1", "model_a": "X", "model_b": "Y", "question": "relevance", "winner": "model_x"},
        {"judge": "j", "id": "2", "model_a": "Y", "model_b": "X", "question": "relevance", "winner": "a"},
        {"judge": "j", "id": "3", "model_a": "X", "model_b": "Y", "question": "relevance", "winner": "tie"},
        {"judge": "j", "id": "4", "model_a": "X", "model_b": "Y", "question": "relevance", "winner": "Y"},
        {"judge": "j", "id": "5", "model_a": "Y", "model_b": "X", "question": "relevance", "winner": 1},
    ]
    rows[0]["winner"] = "X"
    file = written(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), "pairs.jsonl")
    with pytest.raises(
        UserError, match=r'line 5: field "winner" is .1., and the numbers of this question .1. do not say'
    ):
        read_judgments_file(file)
    judgments = read_judgments_file(file, settings_of(None, None, None, "1=first"))
    assert judgments.pairs == (("X", "Y"),) and judgments.kind == StudyKind.pairwise
    assert [row.value for row in judgments.rows] == [1, -1, 0, -1, -1]
    bad = written(tmp_path, json.dumps(rows[0] | {"winner": "Z"}) + "\n", "bad.jsonl")
    with pytest.raises(UserError, match=r'bad.jsonl, line 1: field "winner" is .Z., not a preference'):
        read_judgments_file(bad)
    with pytest.raises(UserError, match="kind likert needs columns system"):
        read_judgments_file(file, settings_of(None, "likert", None))


def test_our_own_rows_are_read_back(tmp_path):
    judgments = preferences([[1, 0, -1], [1, 1, 1]])
    file = written(tmp_path, "".join(json.dumps(row.to_json()) + "\n" for row in judgments.rows), "judgments.jsonl")
    again = read_judgments_file(file)
    assert list(again.rows) == list(judgments.rows) and again.pairs == judgments.pairs


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("", "e.tsv", "is empty"),
        (DSTC7, "e.tsv", "holds no judgments"),
        ("just text\n", "e.txt", "neither JSON lines nor a table"),
        ('{"judge": "j"\n', "e.jsonl", "e.jsonl, line 1: not JSON"),
    ],
)
def test_files_without_judgments(tmp_path, text, name, said):
    with pytest.raises(UserError, match=said):
        read_judgments_file(written(tmp_path, text, name))


@pytest.mark.parametrize(
    ("text", "said"),
    [("judge", "is not field=column"), ("judge=a,judge=b", "judge is named twice"), ("=x", "is not field=column")],
)
def test_maps_that_mean_nothing(text, said):
    with pytest.raises(UserError, match=said):
        ColumnMap.parse(text)


def test_pools():
    assert parse_pools(["TeamCE+TeamEC=Team C/E"], ("TeamCE", "TeamEC")) == {"TeamCE": "Team C/E", "TeamEC": "Team C/E"}
    for text, said in [("A=", "expected SYSTEM"), ("A+X=C", "no system 'X'"), ("A+A=C", "in two pools")]:
        with pytest.raises(UserError, match=said):
            parse_pools([text], ("A", "B"))
    with pytest.raises(UserError, match="--pool is for ratings"):
        pooled(preferences([[1]]), {"a": "x", "b": "x"})


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([1, 0, -1])), min_size=1, max_size=20))
def test_swapping_the_sides_of_a_row_changes_nothing(tmp_path_factory, given_rows):
    folder = tmp_path_factory.mktemp("swap")

    def values(swap):
        lines = ["judge,context,first,second,value"]
        for i, (first, value) in enumerate(given_rows):
            second = "b" if first == "a" else "a"
            lines.append(
                f"j,{i},{second},{first},{-value}" if swap and i else f"j,{i},{first},{second},{value}"
            )  # row 0 decides the order of the systems
        file = folder / f"{swap}.csv"
        file.write_text("\n".join(lines) + "\n")
        coding = settings_of(None, None, None, "1=first,0=same,-1=second")
        return [row.value for row in read_judgments_file(str(file), coding).rows]

    assert values(True) == values(False)
