"""`dialoeval check`: leaks of test sets, contamination, and a run's figures on clean examples."""

from __future__ import annotations

import json

import numpy as np
import pytest

import dialoeval as de
from dialoeval.cli.main import main
from dialoeval.data.example import Example
from dialoeval.data.leaks import leaks
from dialoeval.files import write_jsonl
from dialoeval.metrics import bleu
from dialoeval.reports.data_checks import clean_figures

LONG = "one two three four five six seven eight nine"
EXAMPLES = [
    {"id": "a", "context": ["Hi!", "how are you"], "references": ["Fine.", "fine", "how are you"]},
    {"id": "b", "context": ["hi", "How are you?"], "references": ["..."]},
    {"id": "c", "context": ["what is it"], "references": [LONG, "a bird"]},
    {"id": "d", "context": ["what is it"], "references": ["a bird", LONG.upper()]},
    {"id": "e", "context": ["nothing like this"], "references": ["what ever"]},
]
REPLIES = ["fine", "good", LONG, "a bird it is", "well"]


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_jsonl("test.jsonl", EXAMPLES)
    write_jsonl("train.jsonl", [{"turns": ["hi", "how are you?", "fine"]}] * 11 + [{"turns": ["so", LONG]}])
    write_jsonl("replies.jsonl", [{"id": e["id"], "reply": r} for e, r in zip(EXAMPLES, REPLIES, strict=True)])
    return tmp_path


def check(capsys, *arguments):
    assert main(["check", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_leaks_of_a_test_set(files, capsys):
    found = check(capsys, "--data", "test.jsonl")
    assert {leak["name"]: leak["ids"] for leak in found["leaks"]} == {
        "no_references": [],
        "one_reference": ["b", "e"],
        "empty_references": ["b"],
        "duplicate_references": ["a"],
        "reference_in_context": ["a"],
        "duplicate_contexts": ["b", "d"],
        "duplicate_examples": ["d"],
    }
    assert "training" not in found and "overlap" not in found
    (report,) = files.glob("reports/checks/test.jsonl-*/report.md")
    assert json.loads((report.parent / "check.json").read_text("utf-8")) == found
    assert "| a reference twice " in report.read_text("utf-8")
    again = check(capsys, "dataset=file", "dataset.path=test.jsonl")
    assert again["leaks"] == found["leaks"] and again["data"]["fingerprint"] == found["data"]["fingerprint"]


def test_order_does_not_change_the_counts():
    examples = [Example(e["id"], tuple(e["context"]), tuple(e["references"])) for e in EXAMPLES]
    examples.append(Example("f", ("what is it",)))
    assert leaks(examples)[0].ids == ("f",)
    counts = [[(leak.name, len(leak.ids), leak.looked_up) for leak in leaks(order)]
              for order in (examples, examples[::-1])]  # fmt: skip
    assert counts[0] == counts[1]


def test_the_human_reply_among_the_references(files, capsys):
    lines = ["what is it\t0.9|a bird\t0.8|a plane\t0.1|a bird", "hello EOS hi\t0.9|hey\t0.3|bye", "x\t1|y\t1|y\t1|z"]
    (files / "refs.txt").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    found = {leak["name"]: leak for leak in check(capsys, "--data", "reddit6k:refs.txt")["leaks"]}
    assert found["human_among_references"]["ids"] == ["1"] and found["human_among_references"]["looked_up"] == 3
    assert found["duplicate_references"]["ids"] == ["3"]
    write_jsonl("multi.jsonl", [{"id": "q", "context": ["x"], "references": ["a", "b", "b"]}])
    held_out = {leak["name"]: leak for leak in check(capsys, "--data", "multi.jsonl", "protocol=dstc7")["leaks"]}
    assert held_out["human_among_references"]["ids"] == ["q"] and held_out["duplicate_references"]["ids"] == []


def test_contamination_and_the_figures_on_clean_examples(files, capsys):
    run = de.import_replies("replies.jsonl", "test.jsonl", "test.jsonl", meteor=False)
    found = check(capsys, "--train", "train.jsonl", "--data", "test.jsonl", "--run", run.name)
    kinds = {kind["kind"]: (kind["looked_up"], kind["seen"], kind["rare"]) for kind in found["overlap"]}
    assert kinds["pair"] == (4, 1, 0)  # "how are you", "fine" occurs 11 times
    assert kinds["context"] == (5, 2, 0) and kinds["ngram8.reference"] == (2, 2, 2)
    assert found["clean"] == {"examples": 3, "not_clean_ids": ["c", "d"]}
    assert found["training"]["dialogues"] == 12 and found["run"]["name"] == run.name
    figures = {figure["name"]: figure for figure in found["run"]["figures"]}
    references = [e["references"] for e in EXAMPLES]
    assert figures["bleu2"]["everything"] == pytest.approx(bleu(REPLIES, references)[1])
    assert figures["avg_len"]["clean"] == 1.0 and figures["avg_len"]["everything"] == pytest.approx(16 / 5)
    assert figures["avg_len"]["low"] < -2 < figures["avg_len"]["high"] <= 0 and "distinct1" not in figures
    own = check(capsys, "--train", "train.jsonl", "--run", run.name)  # the run's own examples
    assert (own["overlap"], own["run"]) == (found["overlap"], found["run"])
    assert main(["check", "--train", "train.jsonl", "--run", run.name]) == 0
    printed = capsys.readouterr().out
    assert "3 of 5 examples are clean" in printed and "clean - all" in printed


def test_clean_figures_are_those_of_the_clean_replies_alone(files):
    run = de.import_replies("replies.jsonl", "test.jsonl", "test.jsonl", meteor=False)
    clean = np.array([True, True, False, True, True])
    figures = {figure.name: figure for figure in clean_figures(run, clean)}
    alone = [i for i in range(5) if clean[i]]
    expected = bleu([REPLIES[i] for i in alone], [EXAMPLES[i]["references"] for i in alone])
    assert [figures["bleu2"].clean, figures["bleu4"].clean] == pytest.approx([expected[1], expected[3]])
    assert clean_figures(run, np.ones(5, dtype=bool)) == clean_figures(run, np.zeros(5, dtype=bool)) == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name the test data"),
        (["--data", "test.jsonl", "--run", "x"], "--run and train.KEY=VALUE are for --train"),
        (["--data", "test.jsonl", "dataset=chitchat"], "named twice"),
        (["--data", "tset.jsonl"], "'tset.jsonl' is neither a dataset nor a file"),
        (["--data", "test.jsonl", "--train", "no.jsonl"], "'no.jsonl' is neither a dataset nor a file"),
        (["--data", "test.jsonl", "model=tiny"], "'model=tiny' is no setting of the data"),
        (["test.jsonl"], "a file is named by --data FILE"),
        (["--data", "test.jsonl", "--train", "train.jsonl", "train.foo=1"], "unknown setting 'train.foo'"),
        (["--data", "test.jsonl", "--train", "empty.jsonl"], "has no words"),
        (["--data", "test.jsonl", "--train", "train.jsonl", "--run", "nothing"], "is not a run folder"),
        (["--data", "other.jsonl", "--train", "train.jsonl", "--run", "RUN"], "was not made on these 1 examples"),
    ],
)
def test_a_mistake_is_one_sentence(files, capsys, arguments, message):
    write_jsonl("empty.jsonl", [{"turns": ["...", "?"]}])
    write_jsonl("other.jsonl", EXAMPLES[:1])
    if "RUN" in arguments:
        name = de.import_replies("replies.jsonl", "test.jsonl", meteor=False).name
        arguments = [name if argument == "RUN" else argument for argument in arguments]
    assert main(["check", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.out == "" and "Traceback" not in captured.err
    assert not list(files.glob("reports/checks/*"))


def test_nothing_is_written_if_the_folder_is_a_file(files, capsys):
    assert main(["check", "--data", "test.jsonl", "--out", "test.jsonl"]) == 2
    assert "cannot write" in capsys.readouterr().err
