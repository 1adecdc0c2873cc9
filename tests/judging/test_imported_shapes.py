"""Columns, gaps, lists and published shapes of judgments from elsewhere: what is read and what is not is said."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.judgment_files import pairs, values

from dialoeval.cli.judge_report import main
from dialoeval.errors import UserError
from dialoeval.judging.analysis import analyse
from dialoeval.judging.estimates import Settings
from dialoeval.judging.export import COLUMNS
from dialoeval.judging.imported import read_judgments_file, settings_of
from dialoeval.judging.values import Scale
from dialoeval.reports.judgments_text import to_markdown


def test_the_report_says_which_columns_were_read_and_which_not(tmp_path):
    file = tmp_path / "r.tsv"
    file.write_text("id\tworker\tsystem\trelevance\tfluency\toverall\n1\tw\tX\t1\t5\t5\n2\tv\tX\t2\t4\t4\n")
    judgments = read_judgments_file(str(file))
    assert judgments.notes == (
        "ratings lie on a scale from 1 to 5 (--points names another)",
        "columns read: worker as judge, id as context, system, relevance; not read: fluency, overall (--map "
        "NAME=COLUMN reads a question)",
    )
    analysis = analyse(judgments, Settings(resamples=10))
    assert "not read: fluency, overall" in to_markdown(analysis)
    assert analysis.to_json()["notes"] == list(judgments.notes)
    mapped = read_judgments_file(str(file), settings_of("fluency=fluency,overall=overall", None, None))
    assert [q.name for q in mapped.questions] == ["fluency", "overall"] and "not read: relevance" in mapped.notes[-1]


def test_a_column_of_its_own_goes_before_the_field_of_an_object(tmp_path):
    file = tmp_path / "r.jsonl"
    row = {"meta": {"id": "m", "judge": "mj"}, "id": "1", "system": "S", "value": 3}
    file.write_text(json.dumps(row) + "\n")
    read = read_judgments_file(str(file))
    assert (read.rows[0].context, read.rows[0].judge) == ("1", "mj") and "not read: meta.id" in read.notes[-1]


def test_a_mapped_question_leaves_columns_of_long_files_unread(tmp_path):
    file = tmp_path / "r.csv"
    file.write_text("judge,id,system,question,value,fluency\nj,1,S,,7,3\n")
    read = read_judgments_file(str(file), settings_of("fluency=fluency", None, None, skip_empty=True))
    assert [(row.question, row.value) for row in read.rows] == [("fluency", 3)]
    assert "not read: question, value" in read.notes[-1]


def test_columns_that_only_later_rows_have_are_named(tmp_path):
    file = tmp_path / "r.jsonl"
    rows = [{"judge": "j", "id": "1", "system": "S", "value": 3}, {"judge": "j", "id": "2", "system": "S", "value": 4}]
    rows[1]["fluency"] = 1
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "not read: fluency" in read_judgments_file(str(file)).notes[-1]


def test_empty_answers_are_refused_or_left_out_and_counted(tmp_path):
    header = "judge\tid\tsystem\trelevance\tinformativeness\n"
    rows = ["j\t1\tS\t3\t4", "j\t2\tS\t\t5", "j\t3\tS\tNA\t", "\t4\tS\t1\t1", "k\t5\tS\t2\t2"]
    file = tmp_path / "r.tsv"
    file.write_text(header + "\n".join(rows) + "\n")
    with pytest.raises(UserError, match=r'r.tsv, line 3: field "relevance" is empty, .*--skip-empty leaves'):
        read_judgments_file(str(file))
    read = read_judgments_file(str(file), settings_of(None, None, None, skip_empty=True))
    assert [(r.context, r.question, r.value) for r in read.rows if r.context in "23"] == [("2", "informativeness", 5)]
    counts = "empty answers: 3; rows without judge, context, system or question: 1"
    assert f"left out (--skip-empty): {counts}" in read.notes
    file.write_text(header + "j\t1\tS\t\t\n")
    with pytest.raises(UserError, match="holds no judgments: every answer is empty"):
        read_judgments_file(str(file), settings_of(None, None, None, skip_empty=True))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("4,5", "a decimal comma is not read"),
        ("4.5", "is '4.5', not a whole number"),
        ("1_0", "is '1_0', not a whole number"),
        ("NaN", "is 'NaN', not a whole number from 1 to 5; --skip-empty leaves such answers out"),
        ("-inf", "is '-inf', not"),
        ("7", "from 1 to 5; --points LOW-HIGH names another scale"),
        ("1e400", "is '1e400'"),
        ("9" * 400, "not a whole number"),
    ],
)
def test_ratings_that_are_no_points(tmp_path, value, said):
    file = tmp_path / "r.tsv"
    file.write_text(f"judge\tid\tsystem\tvalue\nj\t1\tS\t{value}\n")
    with pytest.raises(UserError, match=r'r.tsv, line 2: field "value" is') as error:
        read_judgments_file(str(file))
    assert said in str(error.value)


@pytest.mark.parametrize("value", [10**400, True, [], {"a": 1}, [1, 2], None])
def test_json_values_that_are_no_ratings(tmp_path, value):
    file = tmp_path / "r.jsonl"
    file.write_text(json.dumps({"judge": "j", "id": "1", "system": "S", "value": value}) + "\n")
    with pytest.raises(UserError, match=r"r.jsonl"):
        read_judgments_file(str(file))


def test_spelling_of_questions_and_spaces_do_not_split_a_question(tmp_path):
    file = tmp_path / "r.csv"
    file.write_bytes(
        b"\xef\xbb\xbfJudge ID,item,System,Question,Score\r\n j ,1, S ,Relevance, 4 \r\nj,2,S,relevance ,5.0\r\n"
    )
    judgments = read_judgments_file(str(file))
    assert [q.name for q in judgments.questions] == ["Relevance"] and judgments.systems == ("S",)
    assert [row.value for row in judgments.rows] == [4, 5] and judgments.rows[0].judge == "j"


def test_systems_of_nearly_the_same_name_are_pointed_out(tmp_path):
    notes = read_judgments_file(pairs(tmp_path, ("GPT", "X", "X"), ("gpt", "X", "X"))).notes
    assert "systems of nearly the same name are kept apart: 'GPT' and 'gpt'" in notes


def test_a_long_scale_is_printed_in_ranges(tmp_path):
    file = tmp_path / "r.csv"
    rows = "".join(f"j{i % 2},{i},S,{value}\n" for i, value in enumerate([0, 9, 10, 99, 100]))
    file.write_text("judge,id,system,value\n" + rows)
    analysis = analyse(read_judgments_file(str(file), settings_of(None, None, "0-100")), Settings(resamples=10))
    text = to_markdown(analysis)
    assert "| 0 to 9 | 10 to 19 |" in text and "| 90 to 99 | 100 |" in text and "40% |" in text
    assert sum(analysis.people.means[0].points) == 5 and len(analysis.people.means[0].points) == 101


@pytest.mark.parametrize(
    ("text", "scale"),
    [("1-7", (1, 7)), ("0-100", (0, 100)), ("-3..3", (-3, 3)), ("-3-3", (-3, 3)), ("-5--1", (-5, -1))],
)
def test_scales(text, scale):
    assert Scale.parse(text) == Scale(*scale)


@pytest.mark.parametrize("text", ["", "x", "5-1", "1-1", "5", "0-5000000", "1-5-7", "1.5-3"])
def test_scales_that_mean_nothing(text):
    with pytest.raises(UserError, match="--points"):
        Scale.parse(text)


def test_rows_of_chatbot_arena(tmp_path):
    """Columns and values as the published battles have them."""
    winners = ["model_a", "model_b", "tie", "tie (bothbad)"]
    rows = [
        {"question_id": f"q{i}", "model_a": "m1", "model_b": "m2", "winner": winner, "judge": f"arena_user_{i}"}
        | {"conversation_a": [{"role": "user", "content": "hi"}], "conversation_b": [], "turn": 1, "anony": True}
        for i, winner in enumerate(winners)
    ]
    file = tmp_path / "arena.json"
    file.write_text(json.dumps(rows, indent=2))
    judgments = read_judgments_file(str(file))
    assert [row.value for row in judgments.rows] == [1, -1, 0, 0] and judgments.systems == ("m1", "m2")
    assert "'tie', 'tie (bothbad)' as a tie" in judgments.notes[0] and "conversation_a" in judgments.notes[-1]
    joined = read_judgments_file(str(file), settings_of("context=question_id+turn", None, None))
    assert joined.rows[0].context == "q0 / 1" and "question_id+turn as context" in joined.notes[-1]


def test_columns_of_mechanical_turk(tmp_path):
    file = tmp_path / "batch.csv"
    file.write_text(
        '"HITId","AssignmentStatus","WorkerId","Input.system_a","Input.system_b","Answer.relevance"\n'
        '"H1","Approved","W1","X","Y","First"\n"H1","Approved","W2","X","Y","same"\n'
    )
    judgments = read_judgments_file(str(file))
    assert [row.value for row in judgments.rows] == [1, 0] and "not read: AssignmentStatus" in judgments.notes[-1]


def test_ratings_in_objects_and_lists_of_each_judge(tmp_path):
    """A row holds a reply, and for each question a list with the ratings of its judges."""
    rows = [{"context": "hello", "system": s, "annotations": {"Fluent": [1, 2, 0], "Overall": [4, 3, 3]}} for s in "XY"]
    file = tmp_path / "lists.json"
    file.write_text(json.dumps(rows))
    judgments = read_judgments_file(
        str(file), settings_of("fluent=annotations.Fluent,overall=annotations.Overall", None, "0-4")
    )
    read = [(row.judge, row.question, row.value) for row in judgments.rows if row.systems == ("X",)]
    assert read == [
        *(("1", "fluent", 1), ("2", "fluent", 2), ("3", "fluent", 0)),
        *(("1", "overall", 4), ("2", "overall", 3), ("3", "overall", 3)),
    ]
    assert any("no column names the judges" in note for note in judgments.notes)
    for row in rows:
        row["judges"] = ["ann", "bob", "cy"]
    file.write_text(json.dumps(rows))
    judgments = read_judgments_file(str(file), settings_of("fluent=annotations.Fluent,judge=judges", None, "0-4"))
    assert [row.judge for row in judgments.rows][:3] == ["ann", "bob", "cy"]
    rows[0]["judges"] = ["ann"]
    file.write_text(json.dumps(rows))
    with pytest.raises(UserError, match='is a list of 3 answers, and field "judges" no list of as many judges'):
        read_judgments_file(str(file), settings_of("fluent=annotations.Fluent,judge=judges", None, "0-4"))


def test_ratings_in_lists_of_objects(tmp_path):
    """A row holds a list of annotations, one object a judge; or a list of replies, each with lists of ratings."""
    file = tmp_path / "objects.jsonl"
    row = {"id": "d1", "model_id": "M1", "expert": [{"coherence": 5, "fluency": 4}, {"coherence": 3, "fluency": 2}]}
    row["turker"] = [{"coherence": 1, "fluency": 1}]
    file.write_text(json.dumps(row) + "\n")
    judgments = read_judgments_file(str(file), settings_of("coherence=expert.coherence,judge=expert", None, None))
    assert [(r.judge, r.value) for r in judgments.rows] == [("1", 5), ("2", 3)]
    assert any("no column names the judges" in note for note in judgments.notes)
    with pytest.raises(UserError, match="fields of expert and of turker: read one list at a time"):
        read_judgments_file(
            str(file), settings_of("coherence=expert.coherence,fluency=turker.fluency,judge=expert", None, None)
        )
    replies = [{"model": m, "Natural": [1, 3]} for m in ("A", "B")]
    file.write_text(json.dumps({"context": "c", "annotators": ["p", "q"], "responses": replies}) + "\n")
    columns = "judge=annotators,system=responses.model,natural=responses.Natural"
    read = read_judgments_file(str(file), settings_of(columns, None, "1-3")).rows
    assert [(r.systems[0], r.judge, r.value) for r in read] == [
        ("A", "p", 1), ("A", "q", 3), ("B", "p", 1), ("B", "q", 3),
    ]  # fmt: skip


def test_the_table_of_a_study_is_refused_for_its_rows(tmp_path):
    file = tmp_path / "judgments.tsv"
    header = [*COLUMNS]
    file.write_text("\t".join(header) + "\n" + "\t".join(["x"] * len(header)) + "\n")
    with pytest.raises(UserError, match=r"is the table of a study: read judgments.jsonl beside it"):
        read_judgments_file(str(file))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"value": 5}, "value 5 is not a whole number from -1 to 1"),
        ({"systems": ["A", "B", "C"]}, "the systems of a judgment are one that is rated, or two different ones"),
        ({"systems": ["A", "A"]}, "the systems of a judgment are one that is rated, or two different ones"),
        ({"systems": ["A"], "value": 10**9}, "a scale may have 1,001 points at most"),
    ],
)
def test_rows_of_our_own_that_no_study_has(tmp_path, changes, said):
    row = {"item": "i", "context": "c", "systems": ["A", "B"], "judge": "j", "question": "q", "value": 1} | changes
    file = tmp_path / "judgments.jsonl"
    file.write_text(json.dumps(row) + "\n")
    with pytest.raises(UserError, match=said):
        read_judgments_file(str(file))
    with pytest.raises(UserError, match="--map, --values and --skip-empty are for others"):
        read_judgments_file(str(file), settings_of(None, None, None, skip_empty=True))


def test_models_in_our_own_rows_stay_apart(tmp_path):
    row = {"item": "i", "context": "c", "systems": ["A", "B"], "question": "q", "value": 1}
    file = tmp_path / "judgments.jsonl"
    rows = [row | {"judge": "person"}, row | {"judge": "model:x", "sides": [1, -1], "margin": 0.5}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_judgments_file(str(file)).models == {"model:x"}
    rows = [row | {"systems": ["A"], "judge": judge} for judge in ("person", "model:x")]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_judgments_file(str(file)).models == {"model:x"}


def test_columns_of_replies_are_no_systems(tmp_path):
    file = tmp_path / "texts.csv"
    rows = "".join(f"{i},w,reply {i},answer {i},a\n" for i in range(30))
    file.write_text("id,worker,a,b,winner\n" + rows)
    with pytest.raises(UserError, match="a and b hold 60 different values, which look like replies"):
        read_judgments_file(str(file))
    assert len(values(str(file), columns="first=a,second=b")) == 30


def test_semicolons_and_missing_judges_are_named(tmp_path):
    file = tmp_path / "r.csv"
    file.write_text("id;worker;system;relevance\n1;w;X;4,5\n")
    with pytest.raises(UserError, match="separated by semicolons"):
        read_judgments_file(str(file))
    file.write_text("id,system,relevance\n1,X,4\n")
    with pytest.raises(UserError, match="no column is known to hold judge"):
        read_judgments_file(str(file))


def test_the_command_names_values_and_says_so_everywhere(tmp_path, capsys):
    file = pairs(tmp_path, ("X", "Y", 0), ("X", "Y", ""), ("X", "Y", 1), ("Y", "X", 1))
    out = tmp_path / "out"
    options = ["--values", "0=first,1=second", "--skip-empty", "--resamples", "20", "--out", str(out)]
    assert main(["--from", file, *options]) == 0
    shown = [capsys.readouterr().out, (out / "report.md").read_text(), (out / "report.html").read_text()]
    shown.append((out / "analysis.json").read_text())
    for text in shown:
        plain = text.replace("&#39;", "'")
        assert "'0' as the first system; '1' as the second system" in plain
        assert "(--skip-empty): empty answers: 1" in plain and "columns read: worker as judge" in plain
    wins = json.loads(shown[-1])["people"]["wins"][0]["judgments"]
    assert (wins["wins"], wins["ties"], wins["losses"]) == (2, 0, 1)
    with pytest.raises(UserError, match="--values and --skip-empty are for --from FILE"):
        main([str(tmp_path), "--values", "0=first"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["1", "2", "5", "", " ", "NA", "NaN", "3.0"]), min_size=1, max_size=15))
def test_leaving_empty_answers_out_is_as_if_their_rows_were_not_there(tmp_path_factory, cells):
    file = tmp_path_factory.mktemp("empty") / "r.tsv"
    skipped = settings_of(None, None, None, skip_empty=True)

    def rows(kept):
        file.write_text("judge\tid\tsystem\tvalue\n" + "".join(f"j\t{i}\tS\t{cells[i]}\n" for i in kept))
        return [(row.context, row.value) for row in read_judgments_file(str(file), skipped).rows]

    full = [i for i, cell in enumerate(cells) if cell.strip() not in ("", "NA", "NaN")]
    if not full:
        with pytest.raises(UserError, match="holds no judgments"):
            rows(range(len(cells)))
        return
    assert rows(range(len(cells))) == rows(full)
