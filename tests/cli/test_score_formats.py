"""`dialoeval score` reads every format by its content; what can't be told is refused in one sentence."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import threading

import pytest

from dialoeval.cli.main import main

IDS = ["q3", "q1", "q2"]
REPLIES = ["a cat sat on the mat", "yes i do", "what, really?"]
REFERENCES = [["the cat sat on the mat", "a cat sat"], ["yes i do", "no"], ["really?", "oh, what"]]


@pytest.fixture
def file(tmp_path):
    def write(name, content):
        path = tmp_path / name
        if isinstance(content, list):
            content = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def score(tmp_path, hypotheses, references, *more):
    out = tmp_path / "out.json"
    hypotheses, references = ([x] if isinstance(x, str) else x for x in (hypotheses, references))
    arguments = ["--no-meteor", "--resamples", "0", "--out", str(out), *more]
    assert main(["score", "--hypotheses", *hypotheses, "--references", *references, *arguments]) == 0
    return json.loads(out.read_text("utf-8"))


def refused(capsys, hypotheses, references, *more):
    capsys.readouterr()
    hypotheses, references = ([x] if isinstance(x, str) else x for x in (hypotheses, references))
    assert main(["score", "--no-meteor", "--hypotheses", *hypotheses, "--references", *references, *more]) == 2
    output = capsys.readouterr()
    assert output.out == "" and output.err.startswith("dialoeval: ") and output.err.count("\n") == 1
    assert len(output.err) < 1000
    return output.err


def figures(scores):
    return {key: scores[key] for key in ("n", "nist", "bleu", "entropy", "distinct")}


def parquet(rows):
    import pyarrow
    from pyarrow.parquet import write_table

    stream = io.BytesIO()
    write_table(pyarrow.Table.from_pylist(rows), stream)
    return stream.getvalue()


def csv_lines(rows):
    return [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]


PAIRS = list(zip(IDS, REPLIES, strict=True))
OBJECTS = [{"id": key, "reply": reply} for key, reply in PAIRS]
LISTS = [{"id": key, "references": refs} for key, refs in zip(IDS, REFERENCES, strict=True)]
RAGGED = [[key, *refs] for key, refs in zip(IDS, REFERENCES, strict=True)]
HYPOTHESES = {
    "h.JSONL": OBJECTS,
    "h.txt": OBJECTS,
    "array.json": json.dumps(OBJECTS, indent=1),
    "lines.json": OBJECTS,
    "object.json": json.dumps(dict(PAIRS)),
    "objects.json": json.dumps({key: {"reply": reply} for key, reply in PAIRS}),
    "columns.json": json.dumps({"id": IDS, "reply": REPLIES}),
    "h.jsonl.gz": gzip.compress("".join(json.dumps(row) + "\n" for row in OBJECTS).encode()),
    "header.csv": csv_lines([("id", "reply"), *PAIRS]),
    "header.tsv": ["ID\tReply", *("\t".join(pair) for pair in PAIRS)],
    "plain.csv": csv_lines(PAIRS),
    "plain.tsv": ["\t".join(pair) for pair in PAIRS],
    "csv.txt": csv_lines([("id", "reply"), *PAIRS]),
    "h.parquet": parquet(OBJECTS),
    "h.bin": parquet(OBJECTS),
    "convos.txt": [f"{key}\tsub\tconv\t1\t2\tSTART EOS hi EOS you\t{reply}" for key, reply in PAIRS],
    "samples_task.jsonl": [
        {"doc_id": k, "doc": {}, "target": "", "resps": [[r]], "filtered_resps": [r], "filter": "none"}
        for k, r in PAIRS
    ],
    "batch.jsonl": [
        {
            "id": f"batch_{k}",
            "custom_id": k,
            "response": {"status_code": 200, "body": {"choices": [{"message": {"role": "assistant", "content": r}}]}},
            "error": None,
        }
        for k, r in PAIRS
    ],
}
SIDES = {
    "r.JSONL": LISTS,
    "r.json": json.dumps(LISTS),
    "object.json": json.dumps(dict(zip(IDS, REFERENCES, strict=True))),
    "plain.tsv": ["\t".join(row) for row in RAGGED],
    "plain.csv": csv_lines(RAGGED),
    "header.csv": csv_lines([("id", "reference_1", "reference_2"), *RAGGED]),
    "cells.csv": csv_lines([("id", "references"), *((r[0], json.dumps(r[1:])) for r in RAGGED)]),
    "r.parquet": parquet(LISTS),
    "test.refs.txt": ["\t".join([key, *(f"0.{i}|{ref}" for i, ref in enumerate(refs))]) for key, *refs in RAGGED],
}


@pytest.mark.parametrize("name", HYPOTHESES)
def test_replies_in_every_format_give_the_same_figures(tmp_path, file, name):
    expected = score(tmp_path, file("e.jsonl", OBJECTS), file("r.jsonl", LISTS))
    found = score(tmp_path, file(name, HYPOTHESES[name]), file("r.jsonl", LISTS[::-1]))
    assert figures(found) == figures(expected)
    assert found["replies_sha256"] == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()


@pytest.mark.parametrize("hypotheses", ["h.txt", "plain.tsv", "header.csv"])
@pytest.mark.parametrize("name", SIDES)
def test_references_in_every_format_give_the_same_figures(tmp_path, file, name, hypotheses):
    expected = score(tmp_path, file("e.jsonl", OBJECTS), file("e_r.jsonl", LISTS))
    replies = file(f"h_{hypotheses}", HYPOTHESES[hypotheses])
    assert figures(score(tmp_path, replies, file(name, SIDES[name]))) == figures(expected)


def test_ids_of_a_table_are_matched_in_any_order(tmp_path, file):
    replies = ["a\thello there my friend", "b\tgood night", "c\tsee you soon"]
    references = ["c\tsee you", "a\thello there", "b\tgood night then"]
    assert score(tmp_path, file("h.tsv", replies), file("r.tsv", references))["bleu"][0] == pytest.approx(6 / 9)


def test_references_without_ids_keep_their_first_column(tmp_path, file, capsys):
    table = file("r.tsv", ["the cat sat on the mat\ta cat sat", "yes i do\tno", "oh, what\treally?"])
    hypotheses = file("h.txt", REPLIES)
    assert figures(score(tmp_path, hypotheses, table)) == figures(
        score(tmp_path, hypotheses, file("r.jsonl", [{"references": refs} for refs in REFERENCES]))
    )
    unclear = file("u.tsv", ["yes\tno", "sure\twhy", "maybe\tok"])
    assert "--map" in refused(capsys, hypotheses, unclear)
    mapped = score(tmp_path, hypotheses, unclear, "--map", "references=0,references=1")
    assert "refs:2" in mapped["signature"]
    assert "refs:1" in score(tmp_path, hypotheses, unclear, "--map", "id=0")["signature"]
    numbered = file("n.tsv", ["1\tno", "2\twhy", "3\tok"])
    assert "refs:1" in score(tmp_path, hypotheses, numbered)["signature"]
    other = file("o.jsonl", OBJECTS)
    assert "does the first column hold ids" in refused(capsys, other, unclear)


def test_several_files_of_references_are_merged_by_id(tmp_path, file, capsys):
    hypotheses = file("h.jsonl", OBJECTS)
    one = [{"id": row["id"], "references": row["references"][:1]} for row in LISTS]
    two = csv_lines([("id", "reference"), *((row["id"], row["references"][1]) for row in reversed(LISTS))])
    expected = score(tmp_path, hypotheses, file("r.jsonl", LISTS))
    files = [file("r1.jsonl", one), file("r2.csv", two)]
    assert figures(score(tmp_path, hypotheses, files)) == figures(expected)
    assert figures(score(tmp_path, hypotheses, [file("a.jsonl", LISTS[:1]), file("b.jsonl", LISTS[1:])])) == figures(
        expected
    )
    assert "merged by id" in refused(capsys, hypotheses, [files[0], file("t.txt", ["x", "y", "z"])])
    without = [{"references": ["x"]}] * 3
    assert "has no id" in refused(capsys, hypotheses, [file("x.jsonl", without), file("y.jsonl", without)])


def test_a_blank_line_or_cell_is_no_reference(tmp_path, file):
    hypotheses = file("h.txt", ["hello there", "good day"])
    parallel = [file("a.txt", ["hello there my good old friend", "good day"]), file("b.txt", ["", "good morning"])]
    table = file("t.csv", ["reference1,reference2", "hello there my good old friend,", "good day,good morning"])
    lists = file("l.jsonl", [["hello there my good old friend", ""], ["good day", "good morning"]])
    for references in (parallel, table, lists):
        found = score(tmp_path, hypotheses, references)
        assert found["bleu"][3] < 0.5 and found["counts"]["empty_references_dropped"] == 1
        kept = score(tmp_path, hypotheses, references, "--keep-empty-references")
        assert kept["bleu"][3] > 0.6 and kept["counts"]["empty_references_dropped"] == 0
    positional = score(tmp_path, hypotheses, lists, "--protocol", "dstc7")
    assert positional["counts"]["empty_references_dropped"] == 0
    trailing = score(tmp_path, hypotheses, parallel, "--protocol", "dstc7")
    assert trailing["counts"]["empty_references_dropped"] == 1


def test_the_6k_reddit_file(tmp_path, file):
    lines = [f"hi EOS you\t1.5|{refs[0]}\t0.5|{refs[1]}\tthe human" for refs in REFERENCES]
    references = file("test.refs.txt", lines)
    expected = score(tmp_path, file("h.txt", REPLIES), file("r.jsonl", [{"references": refs} for refs in REFERENCES]))
    assert figures(score(tmp_path, file("h.txt", REPLIES), references)) == figures(expected)
    by_number = file("h.jsonl", [{"id": i, "reply": reply} for i, reply in reversed(list(enumerate(REPLIES, 1)))])
    assert figures(score(tmp_path, by_number, references)) == figures(expected)
    human = file("human.txt", ["the human"] * 3)
    row = score(tmp_path, references, references)
    assert figures(row) == figures(score(tmp_path, human, references))
    assert row["counts"]["human_replies_kept_apart"] == 3


def test_a_6k_reddit_line_without_its_human_reply_is_refused(file, capsys):
    replies = file("h.txt", ["yes it is", "no not here"])
    for line, problem in [
        ("hi EOS you\t5|only one", "no references besides the human reply"),
        ("hi EOS you\t5|a b\t3|c d\t", "the last column, the human reply, is empty"),
    ]:
        references = file("test.refs.txt", ["hi EOS you\t5|a b\t3|c d\t1|e f", line])
        assert f"line 2: {problem}" in refused(capsys, replies, references)


def test_parlai_world_logs(tmp_path, file):
    log = [
        {"dialog": [[{"id": "task", "text": "hi", "eval_labels": refs}, {"id": "Model", "text": reply}]]}
        for reply, refs in zip(REPLIES, REFERENCES, strict=True)
    ]
    expected = score(tmp_path, file("h.txt", REPLIES), file("r.jsonl", [{"references": refs} for refs in REFERENCES]))
    path = file("world.jsonl", log)
    assert figures(score(tmp_path, path, path)) == figures(expected)
    both = {"dialog": [exchange for episode in log for exchange in episode["dialog"]]}
    path = file("one.jsonl", [both])
    assert figures(score(tmp_path, path, path)) == figures(expected)


def test_a_map_names_the_fields_of_anything_else(tmp_path, file, capsys):
    expected = score(tmp_path, file("h.jsonl", OBJECTS), file("r.jsonl", LISTS))
    rows = [{"meta": {"key": key}, "out": [{"text": "?"}, {"text": reply}]} for key, reply in PAIRS]
    gold = [{"meta": {"key": key}, "gold": {"all": refs}} for key, *refs in RAGGED]
    mapped = ("--map", "id=meta.key,reply=out.1.text,references=gold.all")
    assert figures(score(tmp_path, file("o.jsonl", rows), file("g.jsonl", gold), *mapped)) == figures(expected)
    table = file("t.tsv", [f"{key}\tcontext\t{reply}" for key, reply in PAIRS])
    assert "--map id=0,reply=2" in refused(capsys, table, file("r.jsonl", LISTS))
    found = score(tmp_path, table, file("r.jsonl", LISTS), "--map", "id=0,reply=2")
    assert figures(found) == figures(expected)
    wide = file("w.jsonl", [{f"key{i}": "x" for i in range(30)}])
    message = refused(capsys, wide, file("r.jsonl", LISTS))
    assert "the keys are key0, key1" in message and "and 20 more" in message and "--map reply=key0" in message
    assert 'field "a.b" is missing' in refused(capsys, wide, file("r.jsonl", LISTS), "--map", "reply=a.b")
    assert "did you mean 'reply'" in refused(capsys, wide, file("r.jsonl", LISTS), "--map", "replies=a")


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (['"yes"', '"no"', '"oh"'], "lines of JSON"),
        (["x", '{"id": 1}', '{"id": 2}'], "lines of JSON"),
        (["0.3|yes", "12|no", "0.5|oh"], "scores"),
        (["1.0 yes", "0.0 no", "1.0 oh"], "weights"),
        (["a\tb", "c\td", "e"], "tab-separated"),
        (["12,yes", "13,no", "14,oh"], "comma-separated"),
    ],
)
def test_a_table_is_never_taken_for_text(tmp_path, file, capsys, lines, found):
    path, text = file("x.txt", lines), file("h.txt", REPLIES)
    assert found in refused(capsys, path, text)
    assert found in refused(capsys, text, [text, path])
    assert score(tmp_path, path, text, "--map", "reply=0")["n"] == 3


def test_several_samples_of_a_system(tmp_path, file, capsys):
    references = file("r.jsonl", LISTS)
    twice = file("h.jsonl", [row | {"reply": text} for row in OBJECTS for text in (row["reply"], "no")])
    lists = file("l.json", json.dumps({key: [reply, "no"] for key, reply in PAIRS}))
    first, second = file("a.jsonl", OBJECTS), file("b.jsonl", [row | {"reply": "no"} for row in OBJECTS])
    both = score(tmp_path, [first, second], references)["systems"]
    for path in (twice, lists):
        message = refused(capsys, path, references)
        assert "--samples mean" in message and "--samples systems" in message
        mean = score(tmp_path, path, references, "--samples", "mean")
        assert mean["n"] == 3 and mean["bleu"][0] == pytest.approx((both["a"]["bleu"][0] + both["b"]["bleu"][0]) / 2)
        assert "samples:mean of 2" in mean["signature"] and mean["intervals"] == {}
        apart = list(score(tmp_path, path, references, "--samples", "systems")["systems"].values())
        assert [figures(x) for x in apart] == [figures(both["a"]), figures(both["b"])]
    uneven = file("u.jsonl", [*OBJECTS, OBJECTS[0]])
    assert "every context needs as many" in refused(capsys, uneven, references, "--samples", "mean")


def test_pipes_are_read_once_and_hashed(tmp_path, file):
    whole = "".join(json.dumps(row) + "\n" for row in OBJECTS).encode()
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(whole,), daemon=True)
    writer.start()
    found = score(tmp_path, str(pipe), file("r.jsonl", LISTS))
    writer.join(10)
    assert found["n"] == 3 and found["replies_sha256"] == hashlib.sha256(whole).hexdigest()
    program = "import sys; from dialoeval.cli.main import main; sys.exit(main(sys.argv[1:]))"
    out = tmp_path / "o.json"
    options = ["--no-meteor", "--out", str(out), "--references", file("r.jsonl", LISTS)]
    run = subprocess.run([sys.executable, "-c", program, "score", "--hypotheses", "-", *options], input=whole)
    assert run.returncode == 0
    assert json.loads(out.read_text("utf-8"))["replies_sha256"] == hashlib.sha256(whole).hexdigest()


def test_odd_values_are_a_sentence(tmp_path, file, capsys):
    references = file("r.jsonl", LISTS)
    assert "unreadable JSON" in refused(
        capsys, file("i.jsonl", ['{"id": ' + "9" * 5000 + ', "reply": "x"}']), references
    )
    lone = ['{"id": "q1", "reply": "x", "system": "\\ud800"}']
    assert "lone surrogate" in refused(capsys, file("s.jsonl", lone), references)
    assert "lone surrogate" in refused(capsys, file("k.jsonl", ['{"id": "\\udfff", "reply": "x"}']), references)
    assert "twice" in refused(capsys, file("d.json", '{"q1": "a", "q1": "b"}'), references)
    assert "once only" in refused(capsys, "-", "-")
    failed = {"custom_id": "q1", "response": None, "error": {"message": "no"}}
    assert "failed" in refused(capsys, file("b.jsonl", [failed]), references)
    likelihoods = {"doc_id": 1, "target": "", "resps": [[["-1.0", "False"], ["-2.0", "True"]]]}
    assert "no generated texts" in refused(capsys, file("m.jsonl", [likelihoods]), references)


def test_ids_that_are_numbers_of_lines_in_another_order_are_refused(tmp_path, file, capsys):
    ordered = file("h.jsonl", ['{"id": 3, "reply": "c"}', '{"id": 1, "reply": "a"}', '{"id": 2, "reply": "b"}'])
    text = file("r.txt", ["a", "b", "c"])
    assert "line 1: the id 3 is not in the order of the lines" in refused(capsys, ordered, text)


def test_skipped_lines_shift_no_others(tmp_path, file, capsys):
    replies = file("h.jsonl", ['{"reply": "a b"}', "{bad", '{"reply": "c d"}'])
    references = file("r.jsonl", ['{"references": ["a b"]}', '{"references": ["c d"]}', "{bad"])
    assert "2 malformed lines were skipped" in refused(capsys, replies, references, "--skip-bad")


def test_names_of_columns_are_no_example(tmp_path, file, capsys):
    replies = file("h.csv", ["number,answer", "1,a b", "2,c d"])
    references = file("r.csv", ["number,gold", "1,a b", "2,c d"])
    assert "look like names of columns (number)" in refused(capsys, replies, references)
